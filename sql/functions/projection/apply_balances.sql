-- Carries the balances of a tenant forward by at most p_limit positions, towards the head of its log, and moves the consumer
-- (`balances`, or one that builds another version) there in the same transaction. One call is one statement, one transaction.
--
-- Answers what log.begin_slice says, and the position reached.
-- Groups by hash: the plan fits any slice, and for a large one its sort would go through files. Then writes account by account in the order of
-- their ids, which is that of the index and mostly that of the rows: neighbours find the same pages at hand.
-- Reads no rows but those of the slice's accounts, whatever is thought of the number of all: their ids are an array, searched for in one pass of
-- the index, and nothing is joined by a nested loop, which would be the choice for few rows.
-- Any slicing comes to the same rows: a checkpoint or a block ends at the position at which its account's count passes a multiple.
--
-- Locks: the consumer's row, until commit. Not the tenant's, so posting goes on meanwhile.
-- Commits without waiting for the disk: what is lost of this, rows and position together, is applied again.
create or replace function projection.apply_balances(
  p_tenant_id uuid, p_consumer text, p_limit integer,
  out state text, out "position" bigint, out head_position bigint, out retry_ms integer
)
language plpgsql volatile
set search_path = pg_catalog
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_sort = off
set enable_nestloop = off
set work_mem = '64MB'
set jit = off
as $$
declare
  -- entries of an account between two of its checkpoints; a reader counts at most these itself
  c_checkpoint constant bigint := 128;
  -- before 17 Postgres may look for the ids of an array among all rows of the tenant; then each row is written as a conflict would have it
  c_by_array constant boolean := current_setting('server_version_num')::integer >= 170000;
  v_slice record;
  v_version integer;
  v_start bigint;
  v_start_at timestamptz;
  v_end_at timestamptz;
  v_batch record;
begin
  perform set_config('synchronous_commit', 'off', true);
  select * into v_slice from log.begin_slice(p_tenant_id, p_consumer, p_limit);
  state := v_slice.state;
  position := v_slice.up_to_position;
  head_position := v_slice.head_position;
  retry_ms := v_slice.retry_ms;
  if v_slice.state <> 'slice' then
    return;
  end if;
  v_version := v_slice.version;
  v_start := v_slice.after_position;
  v_start_at := v_slice.after_at;
  v_end_at := v_slice.up_to_at;

  with grouped as materialized (
    -- sums are null where the slice has nothing of their kind: the balance then stays as it is
    select
      entry.account_id,
      sum(entry.amount) filter (where entry.layer = 'posted' and entry.direction = 'debit') as posted_debits,
      sum(entry.amount) filter (where entry.layer = 'posted' and entry.direction = 'credit') as posted_credits,
      sum(entry.amount) filter (where entry.layer = 'pending' and entry.direction = 'debit') as pending_debits,
      sum(entry.amount) filter (where entry.layer = 'pending' and entry.direction = 'credit') as pending_credits,
      count(*) as entry_count,
      bool_or(entry.effective_at <> entry.recorded_at or entry.expires_at is not null) as has_dated
    from (
      select entry.account_id, entry.layer, entry.direction, entry.amount, entry.effective_at, entry.recorded_at, entry.expires_at
      from ledger.entry
      where entry.tenant_id = p_tenant_id and entry.position > v_start and entry.position <= apply_balances.position
        and entry.recorded_at >= v_start_at and entry.recorded_at <= v_end_at
      -- found by their positions: grouped in the order of the index by account, they would be looked for in all history
      offset 0
    ) entry
    group by entry.account_id
  ),
  delta as materialized (
    select * from grouped order by grouped.account_id
  ),
  updated as (
    update projection.balances_v balances
    set
      posted_debits = coalesce(balances.posted_debits + delta.posted_debits, balances.posted_debits),
      posted_credits = coalesce(balances.posted_credits + delta.posted_credits, balances.posted_credits),
      pending_debits = coalesce(balances.pending_debits + delta.pending_debits, balances.pending_debits),
      pending_credits = coalesce(balances.pending_credits + delta.pending_credits, balances.pending_credits),
      entry_count = balances.entry_count + delta.entry_count
    from delta
    where c_by_array
      and balances.tenant_id = p_tenant_id and balances.version = v_version and balances.account_id = delta.account_id
      and balances.account_id = any (array(select delta.account_id from delta))
    returning balances.account_id, balances.entry_count, delta.entry_count as added_count
  ),
  inserted as (
    insert into projection.balances_v as balances (
      tenant_id, version, account_id, posted_debits, posted_credits, pending_debits, pending_credits, expired_debits, expired_credits,
      dated_posted_debits, dated_posted_credits, dated_pending_debits, dated_pending_credits, entry_count, dated_count
    )
    select
      p_tenant_id, v_version, delta.account_id,
      coalesce(delta.posted_debits, 0), coalesce(delta.posted_credits, 0), coalesce(delta.pending_debits, 0), coalesce(delta.pending_credits, 0),
      0, 0, 0, 0, 0, 0, delta.entry_count, 0
    from delta
    where not exists (select from updated where updated.account_id = delta.account_id)
    on conflict on constraint balances_v_pkey do update
    set
      posted_debits = balances.posted_debits + excluded.posted_debits,
      posted_credits = balances.posted_credits + excluded.posted_credits,
      pending_debits = balances.pending_debits + excluded.pending_debits,
      pending_credits = balances.pending_credits + excluded.pending_credits,
      entry_count = balances.entry_count + excluded.entry_count
    returning balances.account_id, balances.entry_count
  )
  select
    array_agg(counted.account_id) filter (where passed.checkpoint) as checkpoint_ids,
    array_agg(counted.entry_count - counted.added_count) filter (where passed.checkpoint) as counts_before,
    exists (select from delta where delta.has_dated) as has_dated,
    exists (select from delta where delta.pending_debits is not null or delta.pending_credits is not null) as has_pending,
    exists (
      select from projection.expiring_holds_v holds
      where holds.tenant_id = p_tenant_id and holds.version = v_version and holds.expires_at <= v_end_at
    ) as has_expired
  into v_batch
  from (
    select * from updated
    union all
    select inserted.account_id, inserted.entry_count, delta.entry_count
    from inserted
    join delta on delta.account_id = inserted.account_id
  ) counted
  cross join lateral (
    select counted.entry_count / c_checkpoint > (counted.entry_count - counted.added_count) / c_checkpoint as checkpoint
  ) passed;

  if v_batch.has_dated then
    perform projection.apply_dated_entries(p_tenant_id, v_version, v_start, v_start_at, apply_balances.position, v_end_at);
  end if;
  if v_batch.checkpoint_ids is not null then
    perform projection.add_checkpoints(
      p_tenant_id, v_version, v_batch.checkpoint_ids, v_batch.counts_before, c_checkpoint, v_start, v_start_at, apply_balances.position, v_end_at
    );
  end if;
  if v_batch.has_pending then
    perform projection.apply_holds(p_tenant_id, v_version, v_start, v_start_at, apply_balances.position, v_end_at);
  end if;

  -- those before the slice, or of it
  if v_batch.has_expired or v_batch.has_pending then
    with expired as (
      delete from projection.expiring_holds_v holds
      where holds.tenant_id = p_tenant_id and holds.version = v_version and holds.expires_at <= v_end_at
      returning holds.account_id, holds.pending_debits, holds.pending_credits
    )
    update projection.balances_v balances
    set
      expired_debits = balances.expired_debits + sums.pending_debits,
      expired_credits = balances.expired_credits + sums.pending_credits
    from (
      select expired.account_id, sum(expired.pending_debits) as pending_debits, sum(expired.pending_credits) as pending_credits
      from expired
      group by expired.account_id
    ) sums
    where balances.tenant_id = p_tenant_id and balances.version = v_version and balances.account_id = sums.account_id
      and balances.account_id = any (array(select expired.account_id from expired));
  end if;

  perform log.end_slice(p_tenant_id, p_consumer, apply_balances.position, v_end_at);
end;
$$;
