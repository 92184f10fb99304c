-- What had been posted on each account of a tenant, on both axes: ledger.balance_at for all accounts at once, without what is held.
-- The caller has set the tenant. Minor units.
-- Per account a few probes of indexes and at most some hundred entries; more where it has blocks of dated entries and p_as_of is given.
create or replace function ledger.posted_at(
  p_tenant_id uuid, p_position bigint, p_known_at timestamptz, p_as_of timestamptz
)
returns table (account_id uuid, posted_debits numeric, posted_credits numeric)
language plpgsql stable
set search_path = pg_catalog
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  -- Entries that are not dated are in effect when they are recorded.
  v_until timestamptz := least(p_known_at, p_as_of);
  v_version integer := (
    select consumer.version from log.consumer where consumer.tenant_id = p_tenant_id and consumer.name = 'balances'
  );
begin
  return query
  select
    account.id,
    coalesce(case when p_as_of is null then base.posted_debits else base.live_posted_debits end, 0)
      + coalesce(tail.posted_debits, 0) + coalesce(dated.posted_debits, 0),
    coalesce(case when p_as_of is null then base.posted_credits else base.live_posted_credits end, 0)
      + coalesce(tail.posted_credits, 0) + coalesce(dated.posted_credits, 0)
  from ledger.account
  left join lateral (
    select checkpoint.position, checkpoint.recorded_at,
      checkpoint.posted_debits, checkpoint.posted_credits, checkpoint.live_posted_debits, checkpoint.live_posted_credits
    from projection.balance_checkpoints_v checkpoint
    where checkpoint.tenant_id = p_tenant_id and checkpoint.version = v_version and checkpoint.account_id = account.id
      and checkpoint.recorded_at <= v_until and checkpoint.position <= p_position
    order by checkpoint.recorded_at desc, checkpoint.position desc
    limit 1
  ) base on true
  left join lateral (
    select checkpoint.position
    from projection.balance_checkpoints_v checkpoint
    where checkpoint.tenant_id = p_tenant_id and checkpoint.version = v_version and checkpoint.account_id = account.id
      and checkpoint.recorded_at >= greatest(base.recorded_at, '-infinity') and checkpoint.position > greatest(base.position, 0)
    order by checkpoint.recorded_at, checkpoint.position
    limit 1
  ) next on true
  cross join lateral (
    select
      sum(entry.amount) filter (where entry.direction = 'debit') as posted_debits,
      sum(entry.amount) filter (where entry.direction = 'credit') as posted_credits
    from ledger.entry
    where entry.tenant_id = p_tenant_id and entry.account_id = account.id and entry.layer = 'posted'
      and entry.position > greatest(base.position, 0) and entry.position <= least(p_position, next.position)
      and entry.recorded_at >= greatest(base.recorded_at, '-infinity') and entry.recorded_at <= v_until
      and (p_as_of is null or entry.effective_at = entry.recorded_at)
  ) tail
  left join lateral (
    select block.end_position, block.recorded_at
    from projection.dated_blocks_v block
    where block.tenant_id = p_tenant_id and block.version = v_version and block.account_id = account.id
      and block.level = 0 and block.end_position <= p_position
    order by block.end_position desc
    limit 1
  ) block on true
  left join lateral (
    select sums.posted_debits, sums.posted_credits
    from ledger.dated_sums(
      p_tenant_id, v_version, account.id, block.end_position, block.recorded_at, p_position, p_known_at, p_as_of, true
    ) sums
    where block.end_position is not null
    union all
    select
      sum(entry.amount) filter (where entry.direction = 'debit'), sum(entry.amount) filter (where entry.direction = 'credit')
    from ledger.entry
    where block.end_position is null and entry.tenant_id = p_tenant_id and entry.account_id = account.id and entry.layer = 'posted'
      and (entry.effective_at <> entry.recorded_at or entry.expires_at is not null)
      and entry.effective_at <> entry.recorded_at and entry.effective_at <= p_as_of
      and entry.position <= p_position and entry.recorded_at <= p_known_at
    having block.end_position is null
  ) dated on p_as_of is not null
  where account.tenant_id = p_tenant_id;
end;
$$;
