-- Part of ledger.prove: blocks of dated entries whose sums are not what their entries come to, that leave positions out, or that
-- hide their expiries from a reader.
-- Block by block, each with its own rows by their indexes: nothing is joined, so no plan depends on how many blocks Postgres takes there to be.
create or replace function projection.differing_dated_sums(p_tenant_id uuid, p_version integer, p_position bigint)
returns table (name text, account_id uuid, what text, expected text, found text)
language sql stable
set search_path = pg_catalog
begin atomic
  with block as (
    select
      block.*, lag(block.end_position, 1, 0::bigint) over (partition by block.account_id, block.level order by block.end_position) as end_before
    from projection.dated_blocks_v block
    where block.tenant_id = p_tenant_id and block.version = p_version
  )
  select
    case when block.start_position <> block.end_before or block.end_position > p_position or (counted.expires and not block.expires)
      then 'dated_blocks_v' else 'dated_sums_v' end,
    block.account_id, format('block of level %s up to position %s', block.level, block.end_position),
    counted.sums::text, stored.sums::text
  from block
  -- the last running sums of a block are all that it adds up
  left join lateral (
    select
      sums.posted_debits[cardinality(sums.posted_debits)] as posted_debits, sums.posted_credits[cardinality(sums.posted_credits)] as posted_credits,
      sums.pending_debits[cardinality(sums.pending_debits)] as pending_debits, sums.pending_credits[cardinality(sums.pending_credits)] as pending_credits
    from projection.dated_sums_v sums
    where sums.tenant_id = p_tenant_id and sums.version = p_version and sums.account_id = block.account_id and sums.level = block.level
      and sums.end_position = block.end_position and sums.series = 'effective'
    order by sums.first_at desc
    limit 1
  ) effective on true
  left join lateral (
    select sums.pending_debits[cardinality(sums.pending_debits)] as pending_debits, sums.pending_credits[cardinality(sums.pending_credits)] as pending_credits
    from projection.dated_sums_v sums
    where sums.tenant_id = p_tenant_id and sums.version = p_version and sums.account_id = block.account_id and sums.level = block.level
      and sums.end_position = block.end_position and sums.series = 'expiry'
    order by sums.first_at desc
    limit 1
  ) expiry on true
  cross join lateral (
    select array[
      coalesce(effective.posted_debits, 0), coalesce(effective.posted_credits, 0),
      coalesce(effective.pending_debits, 0), coalesce(effective.pending_credits, 0),
      coalesce(expiry.pending_debits, 0), coalesce(expiry.pending_credits, 0)
    ] as sums
  ) stored
  cross join lateral (
    select
      array[
        coalesce(sum(entry.amount) filter (where entry.layer = 'posted' and entry.direction = 'debit'), 0),
        coalesce(sum(entry.amount) filter (where entry.layer = 'posted' and entry.direction = 'credit'), 0),
        coalesce(sum(entry.amount) filter (where entry.layer = 'pending' and entry.direction = 'debit'), 0),
        coalesce(sum(entry.amount) filter (where entry.layer = 'pending' and entry.direction = 'credit'), 0),
        coalesce(sum(entry.amount) filter (where entry.expires_at is not null and entry.direction = 'debit'), 0),
        coalesce(sum(entry.amount) filter (where entry.expires_at is not null and entry.direction = 'credit'), 0)
      ] as sums,
      bool_or(entry.expires_at is not null) as expires
    from ledger.entry
    where entry.tenant_id = p_tenant_id and entry.account_id = block.account_id
      and entry.position > block.start_position and entry.position <= block.end_position and entry.recorded_at <= block.recorded_at
      and (entry.effective_at <> entry.recorded_at or entry.expires_at is not null)
  ) counted
  where stored.sums <> counted.sums or block.start_position <> block.end_before or block.end_position > p_position
    or (counted.expires and not block.expires);
end;
