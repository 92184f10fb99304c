-- What the newest entries moved of balances_daily, as far as the projection has come: of 50 accounts and days at most, what entries brought by
-- the business day and the day on which they were recorded, the ones that moved last first. Minor units.
create or replace function projection.list_moved_days(p_tenant_id uuid, p_version integer)
returns table (
  account_code text, effective_on date, recorded_on date, currency text, scale smallint,
  posted_debits numeric, posted_credits numeric, pending_debits numeric, pending_credits numeric
)
language plpgsql stable
set search_path = pg_catalog
set timezone = 'UTC'
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  v_consumer log.consumer;
begin
  perform set_config('app.tenant_id', p_tenant_id::text, true);
  select * into v_consumer from log.consumer where consumer.tenant_id = p_tenant_id and consumer.name = 'balances_daily';
  return query
  select
    account.code, moved.effective_on, moved.recorded_on, account.currency, account.scale,
    days.posted_debits, days.posted_credits, days.pending_debits, days.pending_credits
  from (
    select
      entry.account_id, entry.effective_at::date as effective_on, entry.recorded_at::date as recorded_on,
      max(entry.position) as last_position
    from projection.list_newest_entries(p_tenant_id, v_consumer.position, v_consumer.recorded_at) entry
    group by 1, 2, 3
    order by last_position desc, entry.account_id, effective_on, recorded_on
    limit 50
  ) moved
  -- lateral and not to be joined in another way, whatever is thought of their number
  cross join lateral (
    select days.posted_debits, days.posted_credits, days.pending_debits, days.pending_credits
    from projection.balances_daily_v days
    where days.tenant_id = p_tenant_id and days.version = p_version and days.account_id = moved.account_id
      and days.effective_on = moved.effective_on and days.recorded_on = moved.recorded_on
    offset 0
  ) days
  cross join lateral (
    select account.code, account.currency, account.scale
    from ledger.account
    where account.tenant_id = p_tenant_id and account.id = moved.account_id
    offset 0
  ) account
  order by moved.last_position desc, moved.account_id, moved.effective_on, moved.recorded_on;
end;
$$;
