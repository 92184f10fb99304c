-- Takes the tenant's lock until the transaction ends. Whoever appends to the tenant's log holds it, so positions equal commit order.
-- Taken as late as possible, in READ COMMITTED only: under REPEATABLE READ the head read after it would be stale.
create or replace function log.lock_tenant(p_tenant_id uuid) returns void
language sql volatile
set search_path = pg_catalog
as $$
  select pg_advisory_xact_lock(hashtextextended(p_tenant_id::text, 7461));
$$;
