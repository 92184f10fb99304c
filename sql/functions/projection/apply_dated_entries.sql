-- Part of projection.apply_entries: the dated entries of a slice of the log, and the blocks that they complete.
-- Sorts what its slice brings: the caller's `enable_sort = off` would make the order come from an index over the whole history.
create or replace function projection.apply_dated_entries(
  p_tenant_id uuid, p_version integer, p_start bigint, p_start_at timestamptz, p_end bigint, p_end_at timestamptz
) returns void
language plpgsql volatile
set search_path = pg_catalog
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_sort = on
set enable_nestloop = on
as $$
declare
  -- dated entries in a block of the lowest level; a reader counts at most these itself
  c_block constant bigint := 128;
  v_completed record;
begin
  for v_completed in
    with delta as (
      select
        entry.account_id,
        coalesce(sum(entry.amount) filter (where entry.layer = 'posted' and entry.direction = 'debit'), 0) as posted_debits,
        coalesce(sum(entry.amount) filter (where entry.layer = 'posted' and entry.direction = 'credit'), 0) as posted_credits,
        coalesce(sum(entry.amount) filter (where entry.layer = 'pending' and entry.direction = 'debit'), 0) as pending_debits,
        coalesce(sum(entry.amount) filter (where entry.layer = 'pending' and entry.direction = 'credit'), 0) as pending_credits,
        count(*) as dated_count
      from ledger.entry
      where entry.tenant_id = p_tenant_id and entry.position > p_start and entry.position <= p_end
        and entry.recorded_at >= p_start_at and entry.recorded_at <= p_end_at
        and (entry.effective_at <> entry.recorded_at or entry.expires_at is not null)
      group by entry.account_id
    ),
    updated as (
      update projection.balances_v balances
      set
        dated_posted_debits = balances.dated_posted_debits + delta.posted_debits,
        dated_posted_credits = balances.dated_posted_credits + delta.posted_credits,
        dated_pending_debits = balances.dated_pending_debits + delta.pending_debits,
        dated_pending_credits = balances.dated_pending_credits + delta.pending_credits,
        dated_count = balances.dated_count + delta.dated_count
      from delta
      where balances.tenant_id = p_tenant_id and balances.version = p_version and balances.account_id = delta.account_id
      returning balances.account_id, balances.dated_count, delta.dated_count as added_count
    )
    select updated.account_id, updated.dated_count - updated.added_count as dated_count
    from updated
    where updated.dated_count / c_block > (updated.dated_count - updated.added_count) / c_block
  loop
    perform projection.add_dated_blocks(
      p_tenant_id, p_version, v_completed.account_id, v_completed.dated_count, c_block, p_start, p_start_at, p_end, p_end_at
    );
  end loop;
end;
$$;
