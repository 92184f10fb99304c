-- The exact sums now of all accounts whose codes lie in [p_from_code, p_below_code), byte by byte. Many at once: the projection, the
-- entries after it and what has expired are each read once. The caller has set the tenant. Minor units.
create or replace function ledger.find_current_balances(
  p_tenant_id uuid, p_from_code text, p_below_code text, p_now timestamptz
)
returns table (
  account_id uuid, code text, type text, currency text, scale smallint,
  posted_debits numeric, posted_credits numeric, pending_debits numeric, pending_credits numeric
)
language plpgsql stable
set search_path = pg_catalog
set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
declare
  v_version integer;
  v_position bigint;
  v_recorded_at timestamptz;
begin
  select consumer.version, consumer.position, consumer.recorded_at into v_version, v_position, v_recorded_at
  from log.consumer
  where consumer.tenant_id = p_tenant_id and consumer.name = 'balances';
  return query
  with expired as materialized (
    select holds.account_id, sum(holds.pending_debits) as pending_debits, sum(holds.pending_credits) as pending_credits
    from projection.expiring_holds_v holds
    where holds.tenant_id = p_tenant_id and holds.version = v_version and holds.expires_at <= p_now
    group by holds.account_id
  ),
  tail as materialized (
    select
      entry.account_id,
      coalesce(sum(entry.amount) filter (where entry.layer = 'posted' and entry.direction = 'debit'), 0) as posted_debits,
      coalesce(sum(entry.amount) filter (where entry.layer = 'posted' and entry.direction = 'credit'), 0) as posted_credits,
      coalesce(sum(entry.amount) filter (where entry.layer = 'pending' and entry.direction = 'debit'), 0) as pending_debits,
      coalesce(sum(entry.amount) filter (where entry.layer = 'pending' and entry.direction = 'credit'), 0) as pending_credits
    from ledger.entry
    where entry.tenant_id = p_tenant_id and entry.position > coalesce(v_position, 0)
      and entry.recorded_at >= coalesce(v_recorded_at, '-infinity') and entry.recorded_at <= p_now
      and (entry.expires_at is null or entry.expires_at > p_now)
    group by entry.account_id
  )
  select
    account.id, account.code, account.type, account.currency, account.scale,
    coalesce(base.posted_debits, 0) + coalesce(tail.posted_debits, 0),
    coalesce(base.posted_credits, 0) + coalesce(tail.posted_credits, 0),
    coalesce(base.pending_debits - base.expired_debits, 0) + coalesce(tail.pending_debits, 0) - coalesce(expired.pending_debits, 0),
    coalesce(base.pending_credits - base.expired_credits, 0) + coalesce(tail.pending_credits, 0) - coalesce(expired.pending_credits, 0)
  from ledger.account
  left join projection.balances_v base on base.tenant_id = p_tenant_id and base.version = v_version and base.account_id = account.id
  left join expired on expired.account_id = account.id
  left join tail on tail.account_id = account.id
  where account.tenant_id = p_tenant_id
    and account.code collate "C" >= p_from_code and account.code collate "C" < p_below_code;
end;
$$;
