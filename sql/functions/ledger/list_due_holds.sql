-- A page of the tenant's holds whose expiry has passed and is not recorded yet, as far as the projection has come; in the order of their
-- expiry, after one that has been seen to (null: from the beginning).
create or replace function ledger.list_due_holds(
  p_tenant_id uuid, p_after_expires_at timestamptz, p_after_id uuid, p_limit integer
) returns table (transaction_id uuid, expires_at timestamptz)
language plpgsql volatile
set search_path = pg_catalog
as $$
#variable_conflict use_column
begin
  perform set_config('app.tenant_id', p_tenant_id::text, true);
  return query
  select hold.transaction_id, hold.expires_at
  from log.consumer
  join projection.open_holds_v hold on hold.tenant_id = p_tenant_id and hold.version = consumer.version
  where consumer.tenant_id = p_tenant_id and consumer.name = 'balances' and hold.expires_at <= clock_timestamp()
    and (p_after_expires_at is null or (hold.expires_at, hold.transaction_id) > (p_after_expires_at, p_after_id))
  order by hold.expires_at, hold.transaction_id
  limit p_limit;
end;
$$;
