-- Part of projection.apply_entries: the checkpoints that a slice of the log brings to some accounts, whose balances stand at its end and
-- which had p_counts_before entries at its start.
-- A checkpoint stands at the position at which its account's count of entries passes a multiple of p_every.
-- Sorts what its slice brings: the caller's `enable_sort = off` would make the order come from an index over the whole history.
create or replace function projection.add_checkpoints(
  p_tenant_id uuid, p_version integer, p_account_ids uuid[], p_counts_before bigint[], p_every bigint,
  p_start bigint, p_start_at timestamptz, p_end bigint, p_end_at timestamptz
) returns void
language sql volatile
set search_path = pg_catalog
set enable_sort = on
set enable_nestloop = on
begin atomic
  insert into projection.balance_checkpoints_v (
    tenant_id, version, account_id, position, recorded_at, posted_debits, posted_credits, pending_debits, pending_credits,
    live_posted_debits, live_posted_credits, live_pending_debits, live_pending_credits
  )
  select
    p_tenant_id, p_version, at.account_id, at.position, at.recorded_at,
    balances.posted_debits - at.posted_debits,
    balances.posted_credits - at.posted_credits,
    balances.pending_debits - at.pending_debits,
    balances.pending_credits - at.pending_credits,
    balances.posted_debits - balances.dated_posted_debits - at.live_posted_debits,
    balances.posted_credits - balances.dated_posted_credits - at.live_posted_credits,
    balances.pending_debits - balances.dated_pending_debits - at.live_pending_debits,
    balances.pending_credits - balances.dated_pending_credits - at.live_pending_credits
  from (
    -- what comes after each checkpoint in this slice
    select
      moved.account_id, moved.position, moved.recorded_at, moved.number,
      coalesce(sum(moved.entry_count) over later, 0)::bigint as later_count,
      coalesce(sum(moved.posted_debits) over later, 0) as posted_debits,
      coalesce(sum(moved.posted_credits) over later, 0) as posted_credits,
      coalesce(sum(moved.pending_debits) over later, 0) as pending_debits,
      coalesce(sum(moved.pending_credits) over later, 0) as pending_credits,
      coalesce(sum(moved.live_posted_debits) over later, 0) as live_posted_debits,
      coalesce(sum(moved.live_posted_credits) over later, 0) as live_posted_credits,
      coalesce(sum(moved.live_pending_debits) over later, 0) as live_pending_debits,
      coalesce(sum(moved.live_pending_credits) over later, 0) as live_pending_credits
    from (
      -- all positions that begin between the same two multiples end at the same checkpoint
      select
        counted.account_id, counted.number, max(counted.position) as position, max(counted.recorded_at) as recorded_at,
        count(*) as entry_count,
        sum(counted.amount) filter (where counted.layer = 'posted' and counted.direction = 'debit') as posted_debits,
        sum(counted.amount) filter (where counted.layer = 'posted' and counted.direction = 'credit') as posted_credits,
        sum(counted.amount) filter (where counted.layer = 'pending' and counted.direction = 'debit') as pending_debits,
        sum(counted.amount) filter (where counted.layer = 'pending' and counted.direction = 'credit') as pending_credits,
        sum(counted.amount) filter (where counted.live and counted.layer = 'posted' and counted.direction = 'debit') as live_posted_debits,
        sum(counted.amount) filter (where counted.live and counted.layer = 'posted' and counted.direction = 'credit') as live_posted_credits,
        sum(counted.amount) filter (where counted.live and counted.layer = 'pending' and counted.direction = 'debit') as live_pending_debits,
        sum(counted.amount) filter (where counted.live and counted.layer = 'pending' and counted.direction = 'credit') as live_pending_credits
      from (
        select
          entry.account_id, entry.position, entry.recorded_at, entry.layer, entry.direction, entry.amount,
          entry.effective_at = entry.recorded_at and entry.expires_at is null as live,
          -- its rank, less one, is how many entries the slice has before its position
          (wanted.count_before + rank() over (partition by entry.account_id order by entry.position) - 1) / p_every as number
        from ledger.entry
        join unnest(p_account_ids, p_counts_before) as wanted(account_id, count_before) on wanted.account_id = entry.account_id
        where entry.tenant_id = p_tenant_id and entry.position > p_start and entry.position <= p_end
          and entry.recorded_at >= p_start_at and entry.recorded_at <= p_end_at
      ) counted
      group by counted.account_id, counted.number
    ) moved
    window later as (partition by moved.account_id order by moved.number desc rows between unbounded preceding and 1 preceding)
  ) at
  join projection.balances_v balances on balances.tenant_id = p_tenant_id and balances.version = p_version
    and balances.account_id = at.account_id
  where (balances.entry_count - at.later_count) / p_every > at.number;
end;
