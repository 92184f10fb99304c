-- Begins a rebuild of a projection: the consumer `<projection>:rebuild` gets a version that no row has yet, and stands before the first
-- event; or, with p_from_kept, it goes on with the version that was kept. Answers the outcome:
--   started   it runs from now on; number, version and from_position say which
--   ordered   the order has begun one before: nothing is done a second time
--   running   another order's runs
--   not_kept  there is no version to go on with
-- What holds of the two consumers is told by projection.drop_versions.
-- Locks: the consumers' rows, until commit; not that of `<projection>:rebuild`, which slices hold, while a rebuild runs. So of those who order at the same
-- time one begins, and the others are told.
create or replace function projection.start_rebuild(
  p_tenant_id uuid, p_projection text, p_order_id uuid, p_from_kept boolean, p_stops_on_difference boolean,
  out outcome text, out number integer, out version integer, out from_position bigint
)
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
  values (p_tenant_id, p_projection, 0, '-infinity', clock_timestamp())
  on conflict do nothing;
  select * into v_live from log.consumer where consumer.tenant_id = p_tenant_id and consumer.name = p_projection for update;
  select
    coalesce(max(rebuild.number), 0) as number, greatest(max(rebuild.version), max(rebuild.previous_version)) as version,
    coalesce(bool_or(rebuild.order_id = p_order_id), false) as is_ordered,
    coalesce(bool_or(rebuild.state = 'running'), false) as is_running
  into v_used
  from projection.rebuild
  where rebuild.tenant_id = p_tenant_id and rebuild.projection = p_projection;
  if v_used.is_ordered or v_used.is_running then
    outcome := case when v_used.is_ordered then 'ordered' else 'running' end;
    return;
  end if;

  -- Without a row no version is kept.
  select * into v_beside from log.consumer where consumer.tenant_id = p_tenant_id and consumer.name = c_consumer for update;
  if not p_from_kept then
    v_beside.version := greatest(v_live.version, v_beside.version, v_used.version) + 1;
    v_beside.position := 0;
    v_beside.recorded_at := '-infinity';
  elsif coalesce(v_beside.version, v_live.version) = v_live.version then
    outcome := 'not_kept';
    return;
  end if;
  insert into log.consumer as beside (tenant_id, name, version, position, recorded_at, moved_at)
  values (p_tenant_id, c_consumer, v_beside.version, v_beside.position, v_beside.recorded_at, clock_timestamp())
  on conflict on constraint consumer_pkey do update
  set version = excluded.version, position = excluded.position, recorded_at = excluded.recorded_at, moved_at = excluded.moved_at,
    attempts = 0, next_attempt_at = null, parked_at = null, reason = null;

  outcome := 'started';
  number := v_used.number + 1;
  version := v_beside.version;
  from_position := v_beside.position;
  insert into projection.rebuild (
    tenant_id, projection, number, order_id, version, state, stops_on_difference, from_position, to_position, started_at
  )
  select
    p_tenant_id, p_projection, v_used.number + 1, p_order_id, v_beside.version, 'running', p_stops_on_difference,
    v_beside.position, head.position, clock_timestamp()
  from log.head(p_tenant_id) head;
end;
$$;
