-- Begins a rebuild of a projection: the consumer `<projection>:rebuild` gets a version that no row has yet, and stands before the first
-- event; or, with p_from_kept, it goes on with the version that was kept. No row when the order has begun one already.
-- Errors: rebuild_running (the unique index), and no row when p_from_kept and none is kept.
-- Locks: the consumers' rows, until commit.
create or replace function projection.start_rebuild(
  p_tenant_id uuid, p_projection text, p_order_id uuid, p_from_kept boolean, p_stops_on_difference boolean
)
returns table (number integer, version integer, from_position bigint, to_position bigint)
language plpgsql volatile
set search_path = pg_catalog
as $$
#variable_conflict use_column
declare
  c_consumer constant text := p_projection || ':rebuild';
  v_live log.consumer;
  v_beside log.consumer;
  v_used record;
begin
  perform set_config('app.tenant_id', p_tenant_id::text, true);
  insert into log.consumer (tenant_id, name, position, recorded_at, moved_at)
  select p_tenant_id, wanted.name, 0, '-infinity', clock_timestamp()
  from unnest(array[p_projection, c_consumer]) wanted(name)
  on conflict do nothing;
  select * into v_live from log.consumer where consumer.tenant_id = p_tenant_id and consumer.name = p_projection for update;
  select * into v_beside from log.consumer where consumer.tenant_id = p_tenant_id and consumer.name = c_consumer for update;
  select
    coalesce(max(rebuild.number), 0) as number, greatest(max(rebuild.version), max(rebuild.previous_version)) as version,
    coalesce(bool_or(rebuild.order_id = p_order_id), false) as is_ordered,
    coalesce(bool_or(rebuild.state = 'running'), false) as is_running
  into v_used
  from projection.rebuild
  where rebuild.tenant_id = p_tenant_id and rebuild.projection = p_projection;
  if v_used.is_ordered or (p_from_kept and not v_used.is_running and v_beside.version = v_live.version) then
    return;
  end if;

  if not p_from_kept then
    v_beside.version := greatest(v_live.version, v_beside.version, v_used.version) + 1;
    v_beside.position := 0;
    v_beside.recorded_at := '-infinity';
  end if;
  return query
  insert into projection.rebuild (
    tenant_id, projection, number, order_id, version, state, stops_on_difference, from_position, to_position, started_at
  )
  select
    p_tenant_id, p_projection, v_used.number + 1, p_order_id, v_beside.version, 'running', p_stops_on_difference,
    v_beside.position, head.position, clock_timestamp()
  from log.head(p_tenant_id) head
  returning rebuild.number, rebuild.version, rebuild.from_position, rebuild.to_position;

  update log.consumer
  set version = v_beside.version, position = v_beside.position, recorded_at = v_beside.recorded_at, moved_at = clock_timestamp(),
    attempts = 0, next_attempt_at = null, parked_at = null, reason = null
  where consumer.tenant_id = p_tenant_id and consumer.name = c_consumer;
end;
$$;
