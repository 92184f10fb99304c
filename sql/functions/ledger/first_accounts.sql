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
#variable_conflict use_column
begin
  perform set_config('app.tenant_id', p_tenant_id::text, true);
  return query
  with first as (
    select account.id
    from ledger.account
    where account.tenant_id = p_tenant_id
    order by account.id
    limit p_limit
  )
  select seen.position, account.id, account.code, account.type, account.currency, account.scale, account.status,
    account.available_min, account.posted_max
  from (
    select coalesce(max(version.position), 0) as position
    from ledger.account_version version
    where version.tenant_id = p_tenant_id
  ) seen
  left join (
    first join ledger.current_account account on account.tenant_id = p_tenant_id and account.id = first.id
  ) on true;
end;
$$;
