-- The same as projection.find_positions, held until the transaction ends: neither version is carried forward meanwhile, but by the caller.
-- Locks: the rows of both consumers, in the order of their names.
create or replace function projection.lock_versions(
  p_tenant_id uuid, p_projection text,
  out version integer, out "position" bigint, out built_version integer, out built_position bigint
)
language plpgsql volatile
set search_path = pg_catalog
as $$
begin
  perform consumer.name
  from log.consumer
  where consumer.tenant_id = p_tenant_id and consumer.name in (p_projection, p_projection || ':rebuild')
  order by consumer.name
  for update;
  select found.version, found.position, found.built_version, found.built_position
  into lock_versions.version, lock_versions.position, lock_versions.built_version, lock_versions.built_position
  from projection.find_positions(p_tenant_id, p_projection) found;
end;
$$;
