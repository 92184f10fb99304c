-- Ends a rebuild that runs; answers whether it ran. p_state: `canceled`, `failed` (with a reason) or `swapped`: then what was built is read
-- from now on, at its position, and what was read is kept at its own.
-- Locks: the rebuild's row; for `swapped` the caller holds both consumers' (projection.lock_versions).
create or replace function projection.end_rebuild(
  p_tenant_id uuid, p_projection text, p_number integer, p_state text, p_reason text
) returns boolean
language plpgsql volatile
set search_path = pg_catalog
as $$
declare
  v_at record;
begin
  select * into v_at from projection.find_positions(p_tenant_id, p_projection);
  update projection.rebuild
  set state = p_state, reason = p_reason, ended_at = clock_timestamp(), ended_position = v_at.built_position,
    previous_version = case when p_state = 'swapped' then v_at.version end
  where rebuild.tenant_id = p_tenant_id and rebuild.projection = p_projection and rebuild.number = p_number and rebuild.state = 'running';
  if not found then
    return false;
  end if;
  if p_state = 'swapped' then
    update log.consumer
    set version = other.version, position = other.position, recorded_at = other.recorded_at, moved_at = clock_timestamp(),
      attempts = 0, next_attempt_at = null, parked_at = null, reason = null
    from log.consumer other
    where consumer.tenant_id = p_tenant_id and other.tenant_id = p_tenant_id
      and (consumer.name, other.name) in ((p_projection, p_projection || ':rebuild'), (p_projection || ':rebuild', p_projection));
  end if;
  return true;
end;
$$;
