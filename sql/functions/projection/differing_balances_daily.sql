-- Recounts balances by day from the entries up to the position that the projection has reached: each account at the end of each day that it
-- knows of, on both axes. Answers what differs.
create or replace function projection.differing_balances_daily(p_tenant_id uuid)
returns table (what text, expected text, found text)
language plpgsql stable
set search_path = pg_catalog
set timezone = 'UTC'
set plan_cache_mode = force_custom_plan
set enable_nestloop = off
set max_parallel_workers_per_gather = 0
set jit = off
set work_mem = '64MB'
as $$
#variable_conflict use_column
declare
  v_consumer log.consumer;
begin
  perform set_config('app.tenant_id', p_tenant_id::text, true);
  select * into v_consumer from log.consumer where consumer.tenant_id = p_tenant_id and consumer.name = 'balances_daily';
  return query
  with change as (
    select
      entry.account_id, (case when entry.expires_at < entry.effective_at then entry.expires_at else entry.effective_at end)::date as effective_on,
      entry.recorded_at::date as recorded_on, entry.layer, entry.direction, entry.amount
    from ledger.entry
    where entry.tenant_id = p_tenant_id and entry.position <= v_consumer.position
    union all
    select entry.account_id, entry.expires_at::date, entry.recorded_at::date, entry.layer, entry.direction, -entry.amount
    from ledger.entry
    where entry.tenant_id = p_tenant_id and entry.position <= v_consumer.position and entry.expires_at is not null
  ),
  counted as (
    select change.account_id, change.effective_on, change.recorded_on, array[
      coalesce(sum(change.amount) filter (where change.layer = 'posted' and change.direction = 'debit'), 0),
      coalesce(sum(change.amount) filter (where change.layer = 'posted' and change.direction = 'credit'), 0),
      coalesce(sum(change.amount) filter (where change.layer = 'pending' and change.direction = 'debit'), 0),
      coalesce(sum(change.amount) filter (where change.layer = 'pending' and change.direction = 'credit'), 0)
    ] as sums
    from change
    group by change.account_id, change.effective_on, change.recorded_on
  ),
  stored as (
    select days.account_id, days.effective_on, days.recorded_on,
      array[days.posted_debits, days.posted_credits, days.pending_debits, days.pending_credits] as sums
    from projection.balances_daily_v days
    where days.tenant_id = p_tenant_id and days.version = v_consumer.version
  )
  select
    format('balances_daily_v %s in effect on %s, recorded on %s', account_id, effective_on, recorded_on), counted.sums::text, stored.sums::text
  from counted
  full join stored using (account_id, effective_on, recorded_on)
  where counted.sums is distinct from stored.sums;
end;
$$;
