-- Lets lattice_app work with the tables of graphile-worker, whose row level security knows no role but the owner. Changes nothing the second time.
-- Called by `lattice migrate`, as the owner.
create or replace function lattice.open_queue() returns void
language plpgsql volatile
set search_path = pg_catalog
as $$
declare
  v_table record;
begin
  if not has_schema_privilege('lattice_app', 'graphile_worker', 'usage') then
    grant usage on schema graphile_worker to lattice_app;
  end if;
  for v_table in
    select relation.relname as name, relation.oid as oid, relation.relrowsecurity as has_wall
    from pg_class relation
    where relation.relnamespace = to_regnamespace('graphile_worker') and relation.relkind = 'r'
  loop
    if v_table.name = 'migrations' then
      if not has_table_privilege('lattice_app', v_table.oid, 'select') then
        grant select on graphile_worker.migrations to lattice_app;
      end if;
      continue;
    end if;
    if not has_table_privilege('lattice_app', v_table.oid, 'delete') then
      execute format('grant select, insert, update, delete on graphile_worker.%I to lattice_app', v_table.name);
    end if;
    if v_table.has_wall and not exists (select from pg_policy where polrelid = v_table.oid and polname = 'process') then
      execute format('create policy process on graphile_worker.%I to lattice_app using (true)', v_table.name);
    end if;
  end loop;
end;
$$;
