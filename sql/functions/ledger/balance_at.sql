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
  v_tail record;
  v_dated record;
begin
  select
    coalesce(base.position, 0) as position, coalesce(base.recorded_at, '-infinity') as recorded_at,
    least(p_position, next.position) as end_position,
    coalesce(base.posted_debits, 0) as posted_debits, coalesce(base.posted_credits, 0) as posted_credits,
    coalesce(base.pending_debits, 0) as pending_debits, coalesce(base.pending_credits, 0) as pending_credits,
    coalesce(base.live_posted_debits, 0) as live_posted_debits, coalesce(base.live_posted_credits, 0) as live_posted_credits,
    coalesce(base.live_pending_debits, 0) as live_pending_debits, coalesce(base.live_pending_credits, 0) as live_pending_credits
  into v_base
  from (values (true)) as always
  left join lateral (
    select checkpoint.*
    from projection.balance_checkpoints_v checkpoint
    where checkpoint.tenant_id = p_tenant_id and checkpoint.version = v_version and checkpoint.account_id = p_account_id
      and checkpoint.recorded_at <= v_until and checkpoint.position <= p_position
    order by checkpoint.recorded_at desc, checkpoint.position desc
    limit 1
  ) base on true
  left join lateral (
    select checkpoint.position
    from projection.balance_checkpoints_v checkpoint
    where checkpoint.tenant_id = p_tenant_id and checkpoint.version = v_version and checkpoint.account_id = p_account_id
      and checkpoint.recorded_at >= greatest(base.recorded_at, '-infinity') and checkpoint.position > greatest(base.position, 0)
    order by checkpoint.recorded_at, checkpoint.position
    limit 1
  ) next on true;

  -- with p_as_of only entries that are not dated; ledger.dated_sums knows the others
  select
    coalesce(sum(entry.amount) filter (where entry.layer = 'posted' and entry.direction = 'debit'), 0) as posted_debits,
    coalesce(sum(entry.amount) filter (where entry.layer = 'posted' and entry.direction = 'credit'), 0) as posted_credits,
    coalesce(sum(entry.amount) filter (where entry.layer = 'pending' and entry.direction = 'debit'), 0) as pending_debits,
    coalesce(sum(entry.amount) filter (where entry.layer = 'pending' and entry.direction = 'credit'), 0) as pending_credits
  into v_tail
  from ledger.entry
  where entry.tenant_id = p_tenant_id and entry.account_id = p_account_id
    and entry.position > v_base.position and entry.position <= v_base.end_position
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
