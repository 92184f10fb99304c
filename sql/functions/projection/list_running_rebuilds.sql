-- The rebuilds that go on in some tenants. Each tenant is looked at by itself, within its own wall.
create or replace function projection.list_running_rebuilds(p_tenant_ids uuid[])
returns table (tenant_id uuid, projection text, number integer, version integer, started_at timestamptz)
language plpgsql volatile
set search_path = pg_catalog
as $$
#variable_conflict use_column
declare
  v_tenant_id uuid;
begin
  foreach v_tenant_id in array p_tenant_ids loop
    perform set_config('app.tenant_id', v_tenant_id::text, true);
    return query
    select rebuild.tenant_id, rebuild.projection, rebuild.number, rebuild.version, rebuild.started_at
    from projection.rebuild
    where rebuild.tenant_id = v_tenant_id and rebuild.state = 'running';
  end loop;
end;
$$;
