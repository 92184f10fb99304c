-- The events at these positions, which were recorded at these instants: only their partitions are opened.
create or replace function webhooks.find_events(p_tenant_id uuid, p_positions bigint[], p_recorded_ats timestamptz[])
returns table (
  "position" bigint, id uuid, type text, subject_id uuid, data json, actor_id uuid, request_id text, occurred_at timestamptz,
  recorded_at timestamptz
)
language plpgsql stable
set search_path = pg_catalog
-- Row by row through the keys, whatever the planner believes of a table that grows and empties between two analyses.
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
#variable_conflict use_column
declare
  v_from constant timestamptz := (select min(each) from unnest(p_recorded_ats) each);
  v_to constant timestamptz := (select max(each) from unnest(p_recorded_ats) each);
begin
  perform set_config('app.tenant_id', p_tenant_id::text, true);
  return query
  select event.position, event.id, event.type, event.subject_id, event.data, event.actor_id, event.request_id, event.occurred_at,
    event.recorded_at
  from log.event
  where event.tenant_id = p_tenant_id and event.position = any (p_positions)
    and event.recorded_at >= v_from and event.recorded_at <= v_to;
end;
$$;
