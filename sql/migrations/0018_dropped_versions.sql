-- What is kept of a projection is what its newest rebuild left. A version that was dropped while none was kept passed for one that is: its rows were
-- never swept, and a rebuild that went on with it applied the log to them once more. There nothing is kept from now on.

do $$
declare
  c_platform_id constant uuid := '00000000-0000-7000-8000-000000000000';
  v_tenant_ids uuid[];
  v_tenant_id uuid;
  v_names text[];
  v_name text;
begin
  perform set_config('app.tenant_id', c_platform_id::text, true);
  select array_agg(tenant.tenant_id order by tenant.tenant_id) into v_tenant_ids from tenants.tenant;
  -- Each tenant within its own wall, over which the owner of the tables cannot look either.
  foreach v_tenant_id in array v_tenant_ids loop
    perform set_config('app.tenant_id', v_tenant_id::text, true);
    select coalesce(array_agg(live.name), '{}') into v_names
    from log.consumer live
    join log.consumer beside on beside.tenant_id = live.tenant_id and beside.name = live.name || ':rebuild'
    where live.tenant_id = v_tenant_id and beside.version <> live.version and beside.position = 0;
    foreach v_name in array v_names loop
      perform consumer.name
      from log.consumer
      where consumer.tenant_id = v_tenant_id and consumer.name in (v_name, v_name || ':rebuild')
      order by consumer.name
      for update;
      update log.consumer beside
      set version = live.version
      from log.consumer live
      where beside.tenant_id = v_tenant_id and beside.name = v_name || ':rebuild' and beside.position = 0
        and live.tenant_id = v_tenant_id and live.name = v_name
        and not exists (
          select
          from (
            select rebuild.state, rebuild.version, rebuild.previous_version
            from projection.rebuild
            where rebuild.tenant_id = v_tenant_id and rebuild.projection = v_name
            order by rebuild.number desc
            limit 1
          ) newest
          where beside.version = case when newest.state = 'swapped' then newest.previous_version else newest.version end
        );
    end loop;
  end loop;
end;
$$;
