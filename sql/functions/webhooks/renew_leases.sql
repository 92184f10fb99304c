-- A caller says that it lives: what it has leased stays leased to it. The three arrays belong together; an id is a delivery's, and its
-- endpoint's beside it for ordered ones.
-- Locks: what it renews; it passes over what is locked, for that is being recorded, and waits for nobody.
-- Commits without waiting for the disk: a lost lease costs a second call, never an event.
create or replace function webhooks.renew_leases(
  p_tenant_ids uuid[], p_ids uuid[], p_endpoint_ids uuid[], p_caller uuid, p_lease_ms integer
) returns void
language plpgsql volatile
set search_path = pg_catalog
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
  v_until constant timestamptz := clock_timestamp() + make_interval(secs => p_lease_ms / 1000.0);
  v_tenant_id uuid;
  v_id uuid;
begin
  perform set_config('synchronous_commit', 'off', true);
  for v_tenant_id in select distinct tenant.id from unnest(p_tenant_ids) tenant(id) loop
    perform set_config('app.tenant_id', v_tenant_id::text, true);
    for v_id in
      select held.id from unnest(p_tenant_ids, p_ids) held(tenant_id, id) where held.tenant_id = v_tenant_id
    loop
      perform from webhooks.delivery
      where delivery.tenant_id = v_tenant_id and delivery.id = v_id and delivery.leased_by = p_caller
      for update skip locked;
      if found then
        update webhooks.delivery set leased_until = v_until
        where delivery.tenant_id = v_tenant_id and delivery.id = v_id;
      end if;
    end loop;
    with kept as materialized (
      select endpoint.id
      from webhooks.endpoint
      where endpoint.tenant_id = v_tenant_id and endpoint.leased_by = p_caller and endpoint.id = any (p_endpoint_ids)
      for update skip locked
    )
    update webhooks.endpoint
    set leased_until = v_until
    from kept
    where endpoint.tenant_id = v_tenant_id and endpoint.id = kept.id;
  end loop;
end;
$$;
