-- How far each consumer of a tenant has come, and since when it has been behind: the instant at which the first event that it has not
-- applied was recorded. Consumers that never ran have no row.
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
  select consumer.name, consumer.position, head.position,
    (
      select event.recorded_at
      from log.event
      where event.tenant_id = p_tenant_id and event.position = consumer.position + 1 and event.recorded_at >= consumer.recorded_at
    ),
    consumer.moved_at, consumer.attempts, consumer.next_attempt_at, consumer.parked_at, consumer.reason, clock_timestamp()
  from log.head(p_tenant_id) head
  left join log.consumer on consumer.tenant_id = p_tenant_id;
end;
$$;
