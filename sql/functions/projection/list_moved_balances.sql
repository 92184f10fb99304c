-- The balances that the newest entries moved, as far as the projection has come: of 50 accounts at most, the one that moved last first.
-- What is held has the holds taken off that had expired when the last event that counts was recorded. Minor units.
create or replace function projection.list_moved_balances(p_tenant_id uuid, p_version integer)
returns table (
  account_code text, type text, currency text, scale smallint,
  posted_debits numeric, posted_credits numeric, pending_debits numeric, pending_credits numeric
)
language plpgsql stable
set search_path = pg_catalog
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  v_consumer log.consumer;
begin
  perform set_config('app.tenant_id', p_tenant_id::text, true);
  select * into v_consumer from log.consumer where consumer.tenant_id = p_tenant_id and consumer.name = 'balances';
  return query
  select
    account.code, account.type, account.currency, account.scale, balances.posted_debits, balances.posted_credits,
    balances.pending_debits - balances.expired_debits, balances.pending_credits - balances.expired_credits
  from (
    select entry.account_id, max(entry.position) as last_position
    from projection.list_newest_entries(p_tenant_id, v_consumer.position, v_consumer.recorded_at) entry
    group by entry.account_id
    order by last_position desc, entry.account_id
    limit 50
  ) moved
  -- lateral and not to be joined in another way, whatever is thought of their number
  cross join lateral (
    select balances.*
    from projection.balances_v balances
    where balances.tenant_id = p_tenant_id and balances.version = p_version and balances.account_id = moved.account_id
    offset 0
  ) balances
  cross join lateral (
    select account.code, account.type, account.currency, account.scale
    from ledger.account
    where account.tenant_id = p_tenant_id and account.id = moved.account_id
    offset 0
  ) account
  order by moved.last_position desc, moved.account_id;
end;
$$;
