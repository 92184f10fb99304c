-- The exact sums of an account on both axes: what had been recorded up to p_position, and of that, what was in effect at p_as_of
-- (null: whatever its business date). Holds that had expired at p_as_of, else at p_known_at, do not count. Minor units.
-- p_known_at is an instant at which p_position was the last one: its recorded_at or later.
-- Reads one checkpoint, some dozen blocks and at most some hundred entries, whatever the account's history.
create or replace function ledger.balance_at(
  p_tenant_id uuid, p_account_id uuid, p_position bigint, p_known_at timestamptz, p_as_of timestamptz,
  out posted_debits numeric, out posted_credits numeric, out pending_debits numeric, out pending_credits numeric
)
language plpgsql stable
set search_path = pg_catalog
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  -- Entries that are not dated are in effect when they are recorded.
  v_until timestamptz := least(p_known_at, p_as_of);
  v_base record;
  v_dated record;
begin
  -- the last checkpoint by then, where to stop reading after it, and where the blocks of dated entries end
  select
    consumer.version,
    coalesce(base.position, 0) as position, coalesce(base.recorded_at, '-infinity') as recorded_at,
    least(p_position, next.position) as end_position,
    coalesce(block.end_position, 0) as block_position, coalesce(block.recorded_at, '-infinity') as block_recorded_at,
    coalesce(case when p_as_of is null then base.posted_debits else base.live_posted_debits end, 0) as posted_debits,
    coalesce(case when p_as_of is null then base.posted_credits else base.live_posted_credits end, 0) as posted_credits,
    coalesce(case when p_as_of is null then base.pending_debits else base.live_pending_debits end, 0) as pending_debits,
    coalesce(case when p_as_of is null then base.pending_credits else base.live_pending_credits end, 0) as pending_credits
  into v_base
  from (values (true)) as always
  left join log.consumer on consumer.tenant_id = p_tenant_id and consumer.name = 'balances'
  left join lateral (
    select checkpoint.*
    from projection.balance_checkpoints_v checkpoint
    where checkpoint.tenant_id = p_tenant_id and checkpoint.version = consumer.version and checkpoint.account_id = p_account_id
      and checkpoint.recorded_at <= v_until and checkpoint.position <= p_position
    order by checkpoint.recorded_at desc, checkpoint.position desc
    limit 1
  ) base on true
  left join lateral (
    select checkpoint.position
    from projection.balance_checkpoints_v checkpoint
    where checkpoint.tenant_id = p_tenant_id and checkpoint.version = consumer.version and checkpoint.account_id = p_account_id
      and checkpoint.recorded_at >= greatest(base.recorded_at, '-infinity') and checkpoint.position > greatest(base.position, 0)
      and p_as_of < p_known_at
    order by checkpoint.recorded_at, checkpoint.position
    limit 1
  ) next on true
  left join lateral (
    select block.end_position, block.recorded_at
    from projection.dated_blocks_v block
    where block.tenant_id = p_tenant_id and block.version = consumer.version and block.account_id = p_account_id
      and block.level = 0 and block.end_position <= p_position
    order by block.end_position desc
    limit 1
  ) block on true;

  v_dated := ledger.dated_sums(
    p_tenant_id, v_base.version, p_account_id, v_base.block_position, v_base.block_recorded_at, p_position, p_known_at,
    coalesce(p_as_of, p_known_at), p_as_of is not null
  );

  -- with p_as_of only entries that are not dated: the others are known by now
  select
    v_base.posted_debits + v_dated.posted_debits
      + coalesce(sum(entry.amount) filter (where entry.layer = 'posted' and entry.direction = 'debit'), 0),
    v_base.posted_credits + v_dated.posted_credits
      + coalesce(sum(entry.amount) filter (where entry.layer = 'posted' and entry.direction = 'credit'), 0),
    v_base.pending_debits + v_dated.pending_debits
      + coalesce(sum(entry.amount) filter (where entry.layer = 'pending' and entry.direction = 'debit'), 0),
    v_base.pending_credits + v_dated.pending_credits
      + coalesce(sum(entry.amount) filter (where entry.layer = 'pending' and entry.direction = 'credit'), 0)
  into balance_at.posted_debits, balance_at.posted_credits, balance_at.pending_debits, balance_at.pending_credits
  from ledger.entry
  where entry.tenant_id = p_tenant_id and entry.account_id = p_account_id
    and entry.position > v_base.position and entry.position <= v_base.end_position
    and entry.recorded_at >= v_base.recorded_at and entry.recorded_at <= v_until
    and (p_as_of is null or (entry.effective_at = entry.recorded_at and entry.expires_at is null));
end;
$$;
