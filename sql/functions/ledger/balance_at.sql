-- The exact sums of an account on both axes: what had been recorded up to p_position, and of that, what was in effect at p_as_of
-- (null: whatever its business date). Holds that had expired at p_as_of, else at p_known_at, do not count. Minor units.
-- p_known_at is an instant at which p_position was the last one: its recorded_at or later.
-- Reads one checkpoint and at most some hundred entries, whatever the account's history.
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
  v_version integer := (
    select consumer.version from log.consumer where consumer.tenant_id = p_tenant_id and consumer.name = 'balances'
  );
  v_base record;
  v_next_position bigint;
  v_tail record;
  v_dated record;
begin
  select
    checkpoint.position, checkpoint.recorded_at,
    checkpoint.posted_debits, checkpoint.posted_credits, checkpoint.pending_debits, checkpoint.pending_credits,
    checkpoint.live_posted_debits, checkpoint.live_posted_credits, checkpoint.live_pending_debits, checkpoint.live_pending_credits
  into v_base
  from projection.balance_checkpoints_v checkpoint
  where checkpoint.tenant_id = p_tenant_id and checkpoint.version = v_version and checkpoint.account_id = p_account_id
    and checkpoint.recorded_at <= v_until and checkpoint.position <= p_position
  order by checkpoint.recorded_at desc, checkpoint.position desc
  limit 1;
  if not found then
    select 0::bigint as position, '-infinity'::timestamptz as recorded_at,
      0::numeric as posted_debits, 0::numeric as posted_credits, 0::numeric as pending_debits, 0::numeric as pending_credits,
      0::numeric as live_posted_debits, 0::numeric as live_posted_credits, 0::numeric as live_pending_debits,
      0::numeric as live_pending_credits
    into v_base;
  end if;

  select checkpoint.position into v_next_position
  from projection.balance_checkpoints_v checkpoint
  where checkpoint.tenant_id = p_tenant_id and checkpoint.version = v_version and checkpoint.account_id = p_account_id
    and checkpoint.recorded_at >= v_base.recorded_at and checkpoint.position > v_base.position
  order by checkpoint.recorded_at, checkpoint.position
  limit 1;

  -- with p_as_of only entries that are not dated; ledger.dated_sums knows the others
  select
    coalesce(sum(entry.amount) filter (where entry.layer = 'posted' and entry.direction = 'debit'), 0) as posted_debits,
    coalesce(sum(entry.amount) filter (where entry.layer = 'posted' and entry.direction = 'credit'), 0) as posted_credits,
    coalesce(sum(entry.amount) filter (where entry.layer = 'pending' and entry.direction = 'debit'), 0) as pending_debits,
    coalesce(sum(entry.amount) filter (where entry.layer = 'pending' and entry.direction = 'credit'), 0) as pending_credits
  into v_tail
  from ledger.entry
  where entry.tenant_id = p_tenant_id and entry.account_id = p_account_id
    and entry.position > v_base.position and entry.position <= least(p_position, v_next_position)
    and entry.recorded_at >= v_base.recorded_at and entry.recorded_at <= v_until
    and (p_as_of is null or (entry.effective_at = entry.recorded_at and entry.expires_at is null));

  v_dated := ledger.dated_sums(
    p_tenant_id, v_version, p_account_id, p_position, p_known_at, coalesce(p_as_of, p_known_at), p_as_of is not null
  );

  if p_as_of is null then
    posted_debits := v_base.posted_debits + v_tail.posted_debits;
    posted_credits := v_base.posted_credits + v_tail.posted_credits;
    pending_debits := v_base.pending_debits + v_tail.pending_debits - v_dated.expired_debits;
    pending_credits := v_base.pending_credits + v_tail.pending_credits - v_dated.expired_credits;
  else
    posted_debits := v_base.live_posted_debits + v_tail.posted_debits + v_dated.posted_debits;
    posted_credits := v_base.live_posted_credits + v_tail.posted_credits + v_dated.posted_credits;
    pending_debits := v_base.live_pending_debits + v_tail.pending_debits + v_dated.pending_debits - v_dated.expired_debits;
    pending_credits := v_base.live_pending_credits + v_tail.pending_credits + v_dated.pending_credits - v_dated.expired_credits;
  end if;
end;
$$;
