-- What the dated entries of an account, recorded up to a position (known at p_known_at), come to at an instant: what had begun to count,
-- less the holds that had ceased to. Without p_with_begun only the latter, so pending sums that are negative, and nothing posted.
-- p_block_position and p_block_recorded_at are those of the account's last block of level 0 up to p_position (0 and the beginning of
-- time: none), p_version that of the projection. Sums of a few dozen blocks and the entries after them, whatever the account's history.
create or replace function ledger.dated_sums(
  p_tenant_id uuid, p_version integer, p_account_id uuid, p_block_position bigint, p_block_recorded_at timestamptz,
  p_position bigint, p_known_at timestamptz, p_instant timestamptz, p_with_begun boolean,
  out posted_debits numeric, out posted_credits numeric, out pending_debits numeric, out pending_credits numeric
)
language plpgsql stable
set search_path = pg_catalog
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_memoize = off
as $$
#variable_conflict use_column
begin
  select
    coalesce(blocks.posted_debits, 0) + coalesce(tail.posted_debits, 0), coalesce(blocks.posted_credits, 0) + coalesce(tail.posted_credits, 0),
    coalesce(blocks.pending_debits, 0) + coalesce(tail.pending_debits, 0), coalesce(blocks.pending_credits, 0) + coalesce(tail.pending_credits, 0)
  into dated_sums.posted_debits, dated_sums.posted_credits, dated_sums.pending_debits, dated_sums.pending_credits
  from (
    select
      sum(sums.posted_debits[sums.item]) as posted_debits, sum(sums.posted_credits[sums.item]) as posted_credits,
      sum(series.sign * sums.pending_debits[sums.item]) as pending_debits, sum(series.sign * sums.pending_credits[sums.item]) as pending_credits
    -- the largest blocks first, then on each level those that end after the last one above
    from (values (3), (2), (1), (0)) as levels(level)
    left join lateral (
      select block.end_position
      from projection.dated_blocks_v block
      where block.tenant_id = p_tenant_id and block.version = p_version and block.account_id = p_account_id
        and block.level = levels.level + 1 and block.end_position <= p_block_position
      order by block.end_position desc
      limit 1
    ) above on true
    cross join lateral (
      select block.level, block.end_position, block.expires
      from projection.dated_blocks_v block
      where block.tenant_id = p_tenant_id and block.version = p_version and block.account_id = p_account_id
        and block.level = levels.level and block.end_position > greatest(above.end_position, 0) and block.end_position <= p_block_position
      -- keeps the planner from reading all blocks and joining them with the levels
      offset 0
    ) block
    cross join lateral (values ('effective', 1, p_with_begun), ('expiry', -1, block.expires)) as series(name, sign, wanted)
    cross join lateral (
      select
        width_bucket(p_instant, sums.instants) as item, sums.posted_debits, sums.posted_credits, sums.pending_debits, sums.pending_credits
      from projection.dated_sums_v sums
      where sums.tenant_id = p_tenant_id and sums.version = p_version and sums.account_id = p_account_id and sums.level = block.level
        and sums.end_position = block.end_position and sums.series = series.name and sums.first_at <= p_instant
      order by sums.first_at desc
      limit 1
    ) sums
    where series.wanted
  ) blocks
  cross join (
    select
      sum(entry.amount) filter (where entry.layer = 'posted' and entry.direction = 'debit') as posted_debits,
      sum(entry.amount) filter (where entry.layer = 'posted' and entry.direction = 'credit') as posted_credits,
      sum(counted.sign * entry.amount) filter (where entry.layer = 'pending' and entry.direction = 'debit') as pending_debits,
      sum(counted.sign * entry.amount) filter (where entry.layer = 'pending' and entry.direction = 'credit') as pending_credits
    from ledger.entry
    cross join (select case when p_with_begun then 1 else -1 end as sign) counted
    where entry.tenant_id = p_tenant_id and entry.account_id = p_account_id
      and entry.position > p_block_position and entry.position <= p_position
      and entry.recorded_at >= p_block_recorded_at and entry.recorded_at <= p_known_at
      and (entry.effective_at <> entry.recorded_at or entry.expires_at is not null)
      and case when p_with_begun
        then entry.effective_at <= p_instant and (entry.expires_at is null or entry.expires_at > p_instant)
        else entry.expires_at <= p_instant
      end
  ) tail;
end;
$$;
