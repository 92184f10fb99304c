-- How far each consumer of a tenant has come, and since when it has been behind: the instant at which the first event that it has not
-- applied was recorded. The row without a name is that of each consumer that never ran.
create or replace function log.list_consumers(p_tenant_id uuid)
returns table (
  name text, "position" bigint, head_position bigint, behind_since timestamptz, moved_at timestamptz,
  attempts integer, next_attempt_at timestamptz, parked_at timestamptz, reason text, read_at timestamptz
)
language plpgsql volatile
set search_path = pg_catalog
as $$
#variable_conflict use_column
begin
  perform set_config('app.tenant_id', p_tenant_id::text, true);
  return query
  select each.name, each.position, head.position,
    (
      select event.recorded_at
      from log.event
      where event.tenant_id = p_tenant_id and event.position = each.position + 1 and event.recorded_at >= each.recorded_at
    ),
    each.moved_at, each.attempts, each.next_attempt_at, each.parked_at, each.reason, clock_timestamp()
  from log.head(p_tenant_id) head
  cross join (
    select consumer.name, consumer.position, consumer.recorded_at, consumer.moved_at, consumer.attempts, consumer.next_attempt_at,
      consumer.parked_at, consumer.reason
    from log.consumer
    where consumer.tenant_id = p_tenant_id
    union all
    select null, 0, '-infinity', null, 0, null, null, null
  ) each;
end;
$$;
