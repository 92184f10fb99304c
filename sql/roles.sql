-- The three roles of a Lattice database, without passwords. Run by an administrator of the cluster, any number of times.
-- lattice_owner owns the tables and migrates, lattice_app is the process, lattice_read is for reports and people.

do $$
declare
  v_name text;
begin
  foreach v_name in array array['lattice_owner', 'lattice_app', 'lattice_read'] loop
    if not exists (select from pg_catalog.pg_roles where rolname = v_name) then
      execute format('create role %I login', v_name);
    end if;
    -- Either attribute would walk through the wall between tenants.
    if exists (select from pg_catalog.pg_roles where rolname = v_name and (rolsuper or rolbypassrls)) then
      raise exception '% is a superuser or bypasses row level security', v_name
        using hint = format('alter role %I nosuperuser nobypassrls', v_name);
    end if;
  end loop;
end;
$$;
