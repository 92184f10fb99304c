-- The exact sums of some accounts now, for decisions about limits: the projection as far as it has come, the entries after it, and
-- what has expired taken off. One snapshot: that of the calling statement, so under the tenant's lock nothing is missed.
-- p_now is not before any recorded_at of the tenant (null: found out here); holds that have expired by then do not count.
-- Answers each account once; accounts without entries with zeros. Minor units.
--
-- Few accounts look up their own entries after the projection; many read all of the tenant's. The caller sets force_generic_plan and
-- turns sequential scans off, because a plan is made once, perhaps while the tables are empty; here it would cost every call.
create or replace function ledger.limited_balances(p_tenant_id uuid, p_account_ids uuid[], p_now timestamptz default null)
returns table (
  account_id uuid, posted_debits numeric, posted_credits numeric, pending_debits numeric, pending_credits numeric
)
language plpgsql stable
set search_path = pg_catalog
as $$
#variable_conflict use_column
declare
  v_version integer;
  v_position bigint;
  v_recorded_at timestamptz;
  v_now timestamptz := p_now;
begin
  if v_now is null then
    select greatest(clock_timestamp(), head.recorded_at) into v_now from log.head(p_tenant_id) head;
  end if;
  select consumer.version, consumer.position, consumer.recorded_at
  into v_version, v_position, v_recorded_at
  from log.consumer
  where consumer.tenant_id = p_tenant_id and consumer.name = 'balances';
  if not found then
    v_position := 0;
    v_recorded_at := '-infinity';
  end if;

  if cardinality(p_account_ids) <= 500 then
    return query
    with expired as materialized (
      select holds.account_id, sum(holds.pending_debits) as pending_debits, sum(holds.pending_credits) as pending_credits
      from projection.expiring_holds_v holds
      where holds.tenant_id = p_tenant_id and holds.version = v_version and holds.expires_at <= v_now
      group by holds.account_id
    )
    select
      wanted.account_id,
      coalesce(base.posted_debits, 0) + tail.posted_debits,
      coalesce(base.posted_credits, 0) + tail.posted_credits,
      coalesce(base.pending_debits - base.expired_debits, 0) + tail.pending_debits - coalesce(expired.pending_debits, 0),
      coalesce(base.pending_credits - base.expired_credits, 0) + tail.pending_credits - coalesce(expired.pending_credits, 0)
    from unnest(p_account_ids) as wanted(account_id)
    left join projection.balances_v base on base.tenant_id = p_tenant_id and base.version = v_version and base.account_id = wanted.account_id
    left join expired on expired.account_id = wanted.account_id
    cross join lateral (
      select
        coalesce(sum(entry.amount) filter (where entry.layer = 'posted' and entry.direction = 'debit'), 0) as posted_debits,
        coalesce(sum(entry.amount) filter (where entry.layer = 'posted' and entry.direction = 'credit'), 0) as posted_credits,
        coalesce(sum(entry.amount) filter (where entry.layer = 'pending' and entry.direction = 'debit'), 0) as pending_debits,
        coalesce(sum(entry.amount) filter (where entry.layer = 'pending' and entry.direction = 'credit'), 0) as pending_credits
      from ledger.entry
      where entry.tenant_id = p_tenant_id and entry.account_id = wanted.account_id and entry.position > v_position
        and entry.recorded_at >= v_recorded_at and entry.recorded_at <= v_now
        and (entry.expires_at is null or entry.expires_at > v_now)
    ) tail;
    return;
  end if;

  return query
  with expired as materialized (
    select holds.account_id, sum(holds.pending_debits) as pending_debits, sum(holds.pending_credits) as pending_credits
    from projection.expiring_holds_v holds
    where holds.tenant_id = p_tenant_id and holds.version = v_version and holds.expires_at <= v_now
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
    where entry.tenant_id = p_tenant_id and entry.position > v_position
      and entry.recorded_at >= v_recorded_at and entry.recorded_at <= v_now
      and (entry.expires_at is null or entry.expires_at > v_now)
    group by entry.account_id
  )
  select
    wanted.account_id,
    coalesce(base.posted_debits, 0) + coalesce(tail.posted_debits, 0),
    coalesce(base.posted_credits, 0) + coalesce(tail.posted_credits, 0),
    coalesce(base.pending_debits - base.expired_debits, 0) + coalesce(tail.pending_debits, 0) - coalesce(expired.pending_debits, 0),
    coalesce(base.pending_credits - base.expired_credits, 0) + coalesce(tail.pending_credits, 0) - coalesce(expired.pending_credits, 0)
  from unnest(p_account_ids) as wanted(account_id)
  left join projection.balances_v base on base.tenant_id = p_tenant_id and base.version = v_version and base.account_id = wanted.account_id
  left join expired on expired.account_id = wanted.account_id
  left join tail on tail.account_id = wanted.account_id;
end;
$$;
