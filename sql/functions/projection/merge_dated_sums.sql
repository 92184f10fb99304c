-- Part of projection.apply_entries: the running sums of a block from those of the blocks one level below that it is made of.
create or replace function projection.merge_dated_sums(
  p_tenant_id uuid, p_version integer, p_account_id uuid, p_level integer, p_start bigint, p_end bigint
) returns void
language sql volatile
set search_path = pg_catalog
begin atomic
  select projection.insert_dated_sums(
    p_tenant_id, p_version, p_account_id, p_level, p_end,
    array_agg(part.series), array_agg(part.instant),
    array_agg(part.posted_debits), array_agg(part.posted_credits), array_agg(part.pending_debits), array_agg(part.pending_credits)
  )
  from (
    -- what each instant added to the running sums
    select
      sums.series, item.instant,
      coalesce(item.posted_debits, 0) - lag(coalesce(item.posted_debits, 0), 1, 0::numeric) over run as posted_debits,
      coalesce(item.posted_credits, 0) - lag(coalesce(item.posted_credits, 0), 1, 0::numeric) over run as posted_credits,
      coalesce(item.pending_debits, 0) - lag(coalesce(item.pending_debits, 0), 1, 0::numeric) over run as pending_debits,
      coalesce(item.pending_credits, 0) - lag(coalesce(item.pending_credits, 0), 1, 0::numeric) over run as pending_credits
    from projection.dated_sums_v sums
    cross join lateral unnest(sums.instants, sums.posted_debits, sums.posted_credits, sums.pending_debits, sums.pending_credits)
      as item(instant, posted_debits, posted_credits, pending_debits, pending_credits)
    where sums.tenant_id = p_tenant_id and sums.version = p_version and sums.account_id = p_account_id and sums.level = p_level - 1
      and sums.end_position > p_start and sums.end_position <= p_end
    window run as (partition by sums.end_position, sums.series order by item.instant)
  ) part;
end;
