-- Where the version of a projection that is read and the one beside it stand, on one snapshot. The caller has set the tenant.
create or replace function projection.find_positions(
  p_tenant_id uuid, p_projection text,
  out version integer, out "position" bigint, out built_version integer, out built_position bigint
)
language sql stable
set search_path = pg_catalog
begin atomic
  select live.version, live.position, beside.version, beside.position
  from log.consumer live
  join log.consumer beside on beside.tenant_id = live.tenant_id and beside.name = live.name || ':rebuild'
  where live.tenant_id = p_tenant_id and live.name = p_projection;
end;
