-- The version of each projection of a tenant that is read and how far it has come, the one that is kept beside it, and the newest rebuild.
-- One statement, one snapshot. A projection that has never run stands at version 1 and position 0.
create or replace function projection.list_states(p_tenant_id uuid, p_projections text[])
returns table (
  projection text, version integer, "position" bigint, kept_version integer, kept_position bigint, head_position bigint,
  number integer, rebuild_version integer, state text, stops_on_difference boolean, from_position bigint, to_position bigint,
  rebuild_position bigint, started_at timestamptz, ended_at timestamptz, previous_version integer,
  compared_position bigint, difference_count bigint, differences json, reason text
)
language plpgsql volatile
set search_path = pg_catalog
as $$
#variable_conflict use_column
begin
  perform set_config('app.tenant_id', p_tenant_id::text, true);
  return query
  select
    wanted.name, coalesce(live.version, 1), coalesce(live.position, 0), kept.version, kept.position, head.position,
    newest.number, newest.version, newest.state, newest.stops_on_difference, newest.from_position, newest.to_position,
    case when newest.state = 'running' then beside.position else newest.ended_position end,
    newest.started_at, newest.ended_at, newest.previous_version,
    newest.compared_position, newest.difference_count, newest.differences, newest.reason
  from unnest(p_projections) with ordinality wanted(name, ordinal)
  cross join log.head(p_tenant_id) head
  left join log.consumer live on live.tenant_id = p_tenant_id and live.name = wanted.name
  left join log.consumer beside on beside.tenant_id = p_tenant_id and beside.name = wanted.name || ':rebuild'
  left join lateral (
    select rebuild.*
    from projection.rebuild
    where rebuild.tenant_id = p_tenant_id and rebuild.projection = wanted.name
    order by rebuild.number desc
    limit 1
  ) newest on true
  left join lateral (
    select beside.version, beside.position
    where beside.version <> live.version and newest.state is distinct from 'running'
  ) kept on true
  order by wanted.ordinal;
end;
$$;
