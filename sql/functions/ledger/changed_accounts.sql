-- Accounts that have changed since a position, as they are now, and the position of the tenant's newest account version in the same
-- snapshot. A new account changes none. The position is answered in any case, with nulls when nothing has changed.
-- Answers at most p_limit accounts; a caller that gets as many has to forget all it knew.
create or replace function ledger.changed_accounts(p_tenant_id uuid, p_after_position bigint, p_limit integer)
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
  with changed as (
    select distinct version.account_id
    from ledger.account_version version
    where version.tenant_id = p_tenant_id and version.position > p_after_position and version.number > 1
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
    changed join ledger.current_account account on account.tenant_id = p_tenant_id and account.id = changed.account_id
  ) on true;
end;
$$;
