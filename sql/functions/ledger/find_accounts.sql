-- Accounts by id and by code, as they are now, and the position of the tenant's newest account version in the same snapshot.
-- Unknown ones are missing; the position is answered in any case, with nulls when there is no account. One statement, one round trip.
create or replace function ledger.find_accounts(p_tenant_id uuid, p_ids uuid[], p_codes text[])
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
  with wanted as (
    select unnest(p_ids) as id
    union
    select account.id
    from unnest(p_codes) as named(code)
    join ledger.account on account.tenant_id = p_tenant_id and account.code = named.code
  )
  select seen.position, account.id, account.code, account.type, account.currency, account.scale, account.status,
    account.available_min, account.posted_max
  from (
    select coalesce(max(version.position), 0) as position
    from ledger.account_version version
    where version.tenant_id = p_tenant_id
  ) seen
  left join (
    wanted join ledger.current_account account on account.tenant_id = p_tenant_id and account.id = wanted.id
  ) on true;
end;
$$;
