-- How far these consumers are behind in these tenants' logs, where they are behind or parked: in events, and the age of the first event
-- that has not been applied. One that never ran has applied nothing. Each tenant is looked at by itself, within its own wall.
create or replace function log.list_lags(p_tenant_ids uuid[], p_consumers text[])
returns table (tenant_id uuid, name text, lag_events bigint, lag_seconds float8, is_parked boolean)
language plpgsql volatile
set search_path = pg_catalog
-- For each tenant anew it would be planned longer than it runs.
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
  v_tenant_id uuid;
  v_head bigint;
begin
  foreach v_tenant_id in array p_tenant_ids loop
    perform set_config('app.tenant_id', v_tenant_id::text, true);
    select head.position into v_head from log.head(v_tenant_id) head;
    return query
    select v_tenant_id, each.name, greatest(0, v_head - each.position),
      coalesce((
        select greatest(0, extract(epoch from clock_timestamp() - event.recorded_at))::float8
        from log.event
        where event.tenant_id = v_tenant_id and event.position = each.position + 1 and event.recorded_at >= each.recorded_at
      ), 0),
      each.is_parked
    from (
      select wanted.name, coalesce(consumer.position, 0) as position, coalesce(consumer.recorded_at, '-infinity') as recorded_at,
        consumer.parked_at is not null as is_parked
      from unnest(p_consumers) wanted(name)
      left join log.consumer on consumer.tenant_id = v_tenant_id and consumer.name = wanted.name
    ) each
    where each.position < v_head or each.is_parked;
  end loop;
end;
$$;
