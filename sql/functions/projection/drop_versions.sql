-- Lets go of versions of a projection, if they are still what the caller takes them for (null: not asked): the one that is kept, and the one
-- that is read, whose consumer then begins again with a version that no row has yet. Answers those let go of; projection.sweep_rows deletes
-- their rows. None while a rebuild runs.
--
-- What holds of a projection's two consumers before and after whatever gives them a version: projection.start_rebuild, projection.end_rebuild and this.
--   * A version that one of them has holds what the positions up to its own come to, and nothing else. Any other version is swept, and comes back to
--     neither: a new one is above all that there ever were.
--   * While a rebuild runs, `<projection>:rebuild` has the version that it builds, which is not the one that is read.
--   * While none runs, it has the version that is kept; or, when none is kept, that of `<projection>`, or no row. So whoever gives `<projection>` a
--     version that it had not gives it to the other too, unless that one keeps its own: left behind, what is let go of would pass for kept.
--   * Both are changed by who has locked `<projection>`, and then the other.
--
-- Locks: the rows of both consumers, until commit.
create or replace function projection.drop_versions(p_tenant_id uuid, p_projection text, p_version integer, p_kept_version integer)
returns integer[]
language plpgsql volatile
set search_path = pg_catalog
as $$
declare
  v_at record;
  v_used record;
  v_is_kept boolean;
  v_dropped integer[] := '{}';
begin
  select * into v_at from projection.lock_versions(p_tenant_id, p_projection);
  select max(greatest(rebuild.version, rebuild.previous_version)) as version, coalesce(bool_or(rebuild.state = 'running'), false) as is_running
  into v_used
  from projection.rebuild
  where rebuild.tenant_id = p_tenant_id and rebuild.projection = p_projection;
  if v_used.is_running then
    return v_dropped;
  end if;
  v_is_kept := coalesce(v_at.built_version <> v_at.version, false);
  if p_version is not null then
    update log.consumer
    set version = 1 + greatest(consumer.version, v_used.version), position = 0, recorded_at = '-infinity', moved_at = clock_timestamp(),
      attempts = 0, next_attempt_at = null, parked_at = null, reason = null
    where consumer.tenant_id = p_tenant_id and consumer.name = p_projection and consumer.version = p_version;
    if found then
      v_dropped := v_dropped || p_version;
    end if;
  end if;
  if v_is_kept and v_at.built_version = p_kept_version then
    v_is_kept := false;
    v_dropped := v_dropped || p_kept_version;
  end if;
  if not v_is_kept then
    update log.consumer
    set version = live.version, position = 0, recorded_at = '-infinity'
    from log.consumer live
    where consumer.tenant_id = p_tenant_id and consumer.name = p_projection || ':rebuild'
      and live.tenant_id = p_tenant_id and live.name = p_projection;
  end if;
  return v_dropped;
end;
$$;
