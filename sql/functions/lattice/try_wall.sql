-- Tries the wall between tenants as whoever calls: reads, changes and forges a row across it, and looks into every tenant table as a
-- tenant that has no rows. Answers each attempt and whether the wall held. The row is taken back, so nothing stays.
create or replace function lattice.try_wall() returns table (attempt text, held boolean)
language plpgsql volatile
set search_path = pg_catalog
as $$
declare
  v_one uuid := gen_random_uuid();
  v_other uuid := gen_random_uuid();
  v_sees_own boolean;
  v_reads boolean;
  v_reads_unset boolean;
  v_forges boolean := true;
  v_changed bigint;
  v_table record;
  v_found boolean;
  v_open text[] := '{}';
begin
  begin
    perform set_config('app.tenant_id', v_one::text, true);
    insert into log.consumer (tenant_id, name, position, recorded_at, moved_at)
    values (v_one, 'try_wall', 0, now(), now());
    v_sees_own := exists (select from log.consumer where consumer.tenant_id = v_one);

    perform set_config('app.tenant_id', v_other::text, true);
    v_reads := exists (select from log.consumer where consumer.tenant_id = v_one);
    update log.consumer set position = 1 where consumer.tenant_id = v_one;
    get diagnostics v_changed = row_count;
    begin
      insert into log.consumer (tenant_id, name, position, recorded_at, moved_at)
      values (v_one, 'try_wall_forged', 0, now(), now());
    exception when insufficient_privilege then
      v_forges := false;
    end;
    for v_table in
      select format('%I.%I', namespace.nspname, class.relname) as name
      from pg_class class
      join pg_namespace namespace on namespace.oid = class.relnamespace
      join pg_attribute attribute on attribute.attrelid = class.oid and attribute.attname = 'tenant_id'
      where namespace.nspowner = (select nspowner from pg_namespace where nspname = 'lattice')
        and class.relkind in ('r', 'p') and not class.relispartition
        and has_table_privilege(class.oid, 'select')
      order by 1
    loop
      execute format('select exists (select from %s)', v_table.name) into v_found;
      if v_found then
        v_open := v_open || v_table.name;
      end if;
    end loop;

    perform set_config('app.tenant_id', '', true);
    v_reads_unset := exists (select from log.consumer);
    raise exception using errcode = 'LW000', message = 'taken back';
  exception when sqlstate 'LW000' then
    null;
  end;
  return query values
    ('a tenant sees its own row', v_sees_own),
    ('another tenant does not read it', not v_reads),
    ('another tenant does not change it', v_changed = 0),
    ('another tenant does not forge one', not v_forges),
    ('nobody in particular reads nothing', not v_reads_unset),
    ('a tenant without rows sees none' || coalesce(' (but in ' || nullif(array_to_string(v_open, ', '), '') || ')', ''),
      cardinality(v_open) = 0);
end;
$$;
