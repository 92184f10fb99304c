-- Deletes at most p_limit rows of a projection's table that belong to a version which is neither read nor kept nor being built; answers how
-- many. The versions that there ever were are known from the rebuilds, so no row of the others is looked at.
create or replace function projection.sweep_rows(p_tenant_id uuid, p_projection text, p_table text, p_limit integer) returns bigint
language plpgsql volatile
set search_path = pg_catalog
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
set enable_indexscan = on
set enable_bitmapscan = on
as $$
declare
  v_gone integer[];
  v_rows tid[];
  v_deleted bigint;
begin
  perform set_config('app.tenant_id', p_tenant_id::text, true);
  with used as (
    select consumer.version
    from log.consumer
    where consumer.tenant_id = p_tenant_id and consumer.name in (p_projection, p_projection || ':rebuild')
  ),
  newest as (
    select greatest((select max(used.version) from used), max(rebuild.version), max(rebuild.previous_version)) as version
    from projection.rebuild
    where rebuild.tenant_id = p_tenant_id and rebuild.projection = p_projection
  )
  select array_agg(each.version) into v_gone
  from newest
  cross join generate_series(1, newest.version) each(version)
  where each.version not in (select used.version from used);
  execute format('select array(select ctid from projection.%I where tenant_id = $1 and version = any ($2) limit $3)', p_table)
  into v_rows using p_tenant_id, v_gone, p_limit;
  -- By their places. An index looks cheap before the table's statistics are made, and would compare each row with each place.
  perform set_config('enable_indexscan', 'off', true), set_config('enable_bitmapscan', 'off', true);
  execute format('delete from projection.%I where ctid = any ($3) and tenant_id = $1 and version = any ($2)', p_table)
  using p_tenant_id, v_gone, v_rows;
  get diagnostics v_deleted = row_count;
  return v_deleted;
end;
$$;
