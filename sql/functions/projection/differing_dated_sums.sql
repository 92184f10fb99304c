-- Part of ledger.prove: blocks of dated entries that leave positions out, end elsewhere, or hide their expiries from a reader; and each of their
-- running sums that is not what their entries come to by its instant.
-- Block by block, each with its own rows by their indexes: nothing is joined across them, so no plan depends on how many blocks Postgres takes
-- there to be.
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
    'dated_blocks_v', block.account_id, format('block of level %s up to position %s', block.level, block.end_position),
    concat_ws(' ', block.end_before, ended.recorded_at, shown.expires), concat_ws(' ', block.start_position, block.recorded_at, block.expires)
  from block
  left join lateral (
    select entry.recorded_at
    from ledger.entry
    where entry.tenant_id = p_tenant_id and entry.account_id = block.account_id and entry.position = block.end_position
    limit 1
  ) ended on true
  -- blocks of an earlier version of Lattice all say that they expire, which costs a reader a look
  cross join lateral (
    select block.expires or exists (
      select
      from projection.dated_sums_v sums
      where sums.tenant_id = p_tenant_id and sums.version = p_version and sums.account_id = block.account_id and sums.level = block.level
        and sums.end_position = block.end_position and sums.series = 'expiry'
    ) as expires
  ) shown
  where block.start_position <> block.end_before or block.end_position > p_position or block.recorded_at is distinct from ended.recorded_at
    or block.expires <> shown.expires
  union all
  select
    'dated_sums_v', block.account_id,
    format('block of level %s up to position %s, %s at %s', block.level, block.end_position, differing.series, differing.instant),
    differing.expected::text, differing.found::text
  from block
  cross join lateral (
    select series, instant, counted.sums as expected, stored.sums as found
    from (
      select
        added.series, added.instant,
        array[
          sum(added.posted_debits) over so_far, sum(added.posted_credits) over so_far,
          sum(added.pending_debits) over so_far, sum(added.pending_credits) over so_far
        ] as sums
      from (
        select
          counts.series, counts.instant,
          coalesce(sum(entry.amount) filter (where entry.layer = 'posted' and entry.direction = 'debit'), 0) as posted_debits,
          coalesce(sum(entry.amount) filter (where entry.layer = 'posted' and entry.direction = 'credit'), 0) as posted_credits,
          coalesce(sum(entry.amount) filter (where entry.layer = 'pending' and entry.direction = 'debit'), 0) as pending_debits,
          coalesce(sum(entry.amount) filter (where entry.layer = 'pending' and entry.direction = 'credit'), 0) as pending_credits
        from ledger.entry
        cross join lateral (values ('effective', least(entry.effective_at, entry.expires_at)), ('expiry', entry.expires_at)) counts(series, instant)
        where entry.tenant_id = p_tenant_id and entry.account_id = block.account_id
          and entry.position > block.start_position and entry.position <= block.end_position and entry.recorded_at <= block.recorded_at
          and (entry.effective_at <> entry.recorded_at or entry.expires_at is not null) and counts.instant is not null
        group by counts.series, counts.instant
      ) added
      window so_far as (partition by added.series order by added.instant)
    ) counted
    full join (
      select
        -- a row is found by the first of its instants
        sums.series, case when item.number = 1 and item.instant <> sums.first_at then '-infinity' else item.instant end as instant,
        array[
          coalesce(item.posted_debits, 0), coalesce(item.posted_credits, 0), coalesce(item.pending_debits, 0), coalesce(item.pending_credits, 0)
        ] as sums
      from projection.dated_sums_v sums
      cross join lateral unnest(sums.instants, sums.posted_debits, sums.posted_credits, sums.pending_debits, sums.pending_credits)
        with ordinality item(instant, posted_debits, posted_credits, pending_debits, pending_credits, number)
      where sums.tenant_id = p_tenant_id and sums.version = p_version and sums.account_id = block.account_id and sums.level = block.level
        and sums.end_position = block.end_position
    ) stored using (series, instant)
    where counted.sums is distinct from stored.sums
  ) differing;
end;
