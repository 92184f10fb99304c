-- The exact sums now of some accounts, all at one position of the log, in the order in which they are asked for. Minor units.
create or replace function ledger.list_balances(p_tenant_id uuid, p_account_ids uuid[])
returns table (
  account_id uuid, code text, type text, currency text, scale smallint,
  posted_debits numeric, posted_credits numeric, pending_debits numeric, pending_credits numeric, head_position bigint
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
  select account.id, account.code, account.type, account.currency, account.scale,
    sums.posted_debits, sums.posted_credits, sums.pending_debits, sums.pending_credits, head.position
  from unnest(p_account_ids) with ordinality wanted(account_id, number)
  join ledger.account on account.tenant_id = p_tenant_id and account.id = wanted.account_id
  join ledger.limited_balances(p_tenant_id, p_account_ids) sums on sums.account_id = wanted.account_id
  cross join log.head(p_tenant_id) head
  order by wanted.number;
end;
$$;
