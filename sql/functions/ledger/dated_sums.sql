-- What the dated entries of an account recorded up to a position (known at p_known_at) had brought by an instant: what had begun to
-- count, and of the holds what had ceased to (expired_…). Without p_with_begun only the latter, and the others are of no use.
-- p_version is that of the projection to read. Sums of a few dozen blocks and the entries after them, whatever the account's history.
create or replace function ledger.dated_sums(
  p_tenant_id uuid, p_version integer, p_account_id uuid, p_position bigint, p_known_at timestamptz, p_instant timestamptz,
  p_with_begun boolean,
  out posted_debits numeric, out posted_credits numeric, out pending_debits numeric, out pending_credits numeric,
  out expired_debits numeric, out expired_credits numeric
)
language plpgsql stable
set search_path = pg_catalog
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  v_blocks record;
  v_tail record;
begin
  -- the largest blocks first, then on each level those that end after the last one above
  select
    coalesce(max(block.end_position), 0) as position, coalesce(max(block.recorded_at), '-infinity') as recorded_at,
    coalesce(sum(effective.posted_debits), 0) as posted_debits, coalesce(sum(effective.posted_credits), 0) as posted_credits,
    coalesce(sum(effective.pending_debits), 0) as pending_debits, coalesce(sum(effective.pending_credits), 0) as pending_credits,
    coalesce(sum(expiry.pending_debits), 0) as expired_debits, coalesce(sum(expiry.pending_credits), 0) as expired_credits
  into v_blocks
  from (
    values
      (3, 0::bigint),
      (2, coalesce((
        select max(block.end_position)
        from projection.dated_blocks_v block
        where block.tenant_id = p_tenant_id and block.version = p_version and block.account_id = p_account_id and block.level = 3
          and block.end_position <= p_position
      ), 0)),
      (1, coalesce((
        select max(block.end_position)
        from projection.dated_blocks_v block
        where block.tenant_id = p_tenant_id and block.version = p_version and block.account_id = p_account_id and block.level = 2
          and block.end_position <= p_position
      ), 0)),
      (0, coalesce((
        select max(block.end_position)
        from projection.dated_blocks_v block
        where block.tenant_id = p_tenant_id and block.version = p_version and block.account_id = p_account_id and block.level = 1
          and block.end_position <= p_position
      ), 0))
  ) as levels(level, start_position)
  cross join lateral (
    select block.level, block.end_position, block.recorded_at, block.expires
    from projection.dated_blocks_v block
    where block.tenant_id = p_tenant_id and block.version = p_version and block.account_id = p_account_id
      and block.level = levels.level and block.end_position > levels.start_position and block.end_position <= p_position
    -- keeps the planner from reading all blocks and joining them with the levels
    offset 0
  ) block
  left join lateral (
    select
      sums.posted_debits[at.item] as posted_debits, sums.posted_credits[at.item] as posted_credits,
      sums.pending_debits[at.item] as pending_debits, sums.pending_credits[at.item] as pending_credits
    from projection.dated_sums_v sums
    cross join lateral (select width_bucket(p_instant, sums.instants) as item) at
    where sums.tenant_id = p_tenant_id and sums.version = p_version and sums.account_id = p_account_id and sums.level = block.level
      and sums.end_position = block.end_position and sums.series = 'effective' and sums.first_at <= p_instant
      and p_with_begun
    order by sums.first_at desc
    limit 1
  ) effective on true
  left join lateral (
    select sums.pending_debits[at.item] as pending_debits, sums.pending_credits[at.item] as pending_credits
    from projection.dated_sums_v sums
    cross join lateral (select width_bucket(p_instant, sums.instants) as item) at
    where sums.tenant_id = p_tenant_id and sums.version = p_version and sums.account_id = p_account_id and sums.level = block.level
      and sums.end_position = block.end_position and sums.series = 'expiry' and sums.first_at <= p_instant
      and block.expires
    order by sums.first_at desc
    limit 1
  ) expiry on true;

  select
    coalesce(sum(entry.amount) filter (where entry.layer = 'posted' and entry.direction = 'debit' and counts.begun), 0) as posted_debits,
    coalesce(sum(entry.amount) filter (where entry.layer = 'posted' and entry.direction = 'credit' and counts.begun), 0) as posted_credits,
    coalesce(sum(entry.amount) filter (where entry.layer = 'pending' and entry.direction = 'debit' and counts.begun), 0) as pending_debits,
    coalesce(sum(entry.amount) filter (where entry.layer = 'pending' and entry.direction = 'credit' and counts.begun), 0) as pending_credits,
    coalesce(sum(entry.amount) filter (where entry.direction = 'debit' and counts.ceased), 0) as expired_debits,
    coalesce(sum(entry.amount) filter (where entry.direction = 'credit' and counts.ceased), 0) as expired_credits
  into v_tail
  from ledger.entry
  cross join lateral (
    select least(entry.effective_at, entry.expires_at) <= p_instant as begun, entry.expires_at <= p_instant as ceased
    offset 0
  ) counts
  where entry.tenant_id = p_tenant_id and entry.account_id = p_account_id
    and entry.position > v_blocks.position and entry.position <= p_position
    and entry.recorded_at >= v_blocks.recorded_at and entry.recorded_at <= p_known_at
    and (entry.effective_at <> entry.recorded_at or entry.expires_at is not null);
  posted_debits := v_blocks.posted_debits + v_tail.posted_debits;
  posted_credits := v_blocks.posted_credits + v_tail.posted_credits;
  pending_debits := v_blocks.pending_debits + v_tail.pending_debits;
  pending_credits := v_blocks.pending_credits + v_tail.pending_credits;
  expired_debits := v_blocks.expired_debits + v_tail.expired_debits;
  expired_credits := v_blocks.expired_credits + v_tail.expired_credits;
end;
$$;
