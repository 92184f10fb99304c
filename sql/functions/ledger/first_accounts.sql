-- The accounts that a tenant opened first, as they are now, in the shape of ledger.find_accounts, and the position of the tenant's newest
-- account version in the same snapshot. The position is answered in any case, with nulls when there is no account.
create or replace function ledger.first_accounts(p_tenant_id uuid, p_limit integer)
returns table (
  seen_position bigint, id uuid, code text, type text, currency text, scale smallint, status text,
  available_min numeric, posted_max numeric
)
language plpgsql stable
set search_path = pg_catalog
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
begin
  perform set_config('app.tenant_id', p_tenant_id::text, true);
  return query
  select found.*
  from ledger.find_accounts(
    p_tenant_id,
    array(select account.id from ledger.account where account.tenant_id = p_tenant_id order by account.id limit p_limit),
    '{}'
  ) found;
end;
$$;
