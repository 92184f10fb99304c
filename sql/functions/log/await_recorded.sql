-- Waits until all that the tenant's log records up to a past instant is committed, so that what begins afterwards sees the same up to that
-- instant for ever. An instant before the head's needs no waiting, as what comes is recorded after the head; one that lies ahead is not waited for.
-- Locks: the tenant's, shared, for a moment. A statement of its own, in READ COMMITTED: the lock ends with it, before the read begins.
create or replace function log.await_recorded(p_tenant_id uuid, p_instant timestamptz) returns void
language plpgsql volatile
set search_path = pg_catalog
as $$
begin
  perform set_config('app.tenant_id', p_tenant_id::text, true);
  if p_instant <= clock_timestamp() and p_instant >= (log.head(p_tenant_id)).recorded_at then
    perform pg_advisory_xact_lock_shared(hashtextextended(p_tenant_id::text, 7461));
  end if;
end;
$$;
