-- Where the rows of two versions of a projection's table differ: how many, and the keys of the first p_limit.
-- The caller has set the tenant, and sees both versions at the same position on its snapshot. Reads each row once.
create or replace function projection.differing_rows(
  p_tenant_id uuid, p_table text, p_version integer, p_other_version integer, p_limit integer,
  out difference_count bigint, out differences json
)
language plpgsql stable
set search_path = pg_catalog
set plan_cache_mode = force_custom_plan
set max_parallel_workers_per_gather = 0
set jit = off
set work_mem = '64MB'
as $$
declare
  v_keys text;
  v_columns text;
begin
  select
    string_agg(quote_ident(attribute.attname), ', ' order by attribute.attnum) filter (where attribute.attnum = any (index.indkey)),
    string_agg(quote_ident(attribute.attname), ', ' order by attribute.attnum)
  into strict v_keys, v_columns
  from pg_attribute attribute
  join pg_index index on index.indrelid = attribute.attrelid and index.indisprimary
  where attribute.attrelid = format('projection.%I', p_table)::regclass and attribute.attnum > 0 and not attribute.attisdropped
    and attribute.attname not in ('tenant_id', 'version');
  execute format(
    $query$
      select
        count(*),
        coalesce(
          json_agg(json_build_object('table', $4, 'key', to_json(differing.key))) filter (where differing.number <= $5),
          '[]'
        )
      from (
        select (select key from (select %2$s) key) as key, row_number() over () as number
        from (select %1$s from projection.%3$I where tenant_id = $1 and version = $2) live
        full join (select %1$s from projection.%3$I where tenant_id = $1 and version = $3) built using (%2$s)
        where live is distinct from built
      ) differing
    $query$,
    v_columns, v_keys, p_table
  ) into difference_count, differences using p_tenant_id, p_version, p_other_version, p_table, p_limit;
end;
$$;
