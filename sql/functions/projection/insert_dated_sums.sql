-- Part of projection.apply_entries: writes what a block's entries add at which instants as running sums, some dozens to a row.
create or replace function projection.insert_dated_sums(
  p_tenant_id uuid, p_version integer, p_account_id uuid, p_level integer, p_end bigint,
  p_series text[], p_instants timestamptz[],
  p_posted_debits numeric[], p_posted_credits numeric[], p_pending_debits numeric[], p_pending_credits numeric[]
) returns void
language sql volatile
set search_path = pg_catalog
begin atomic
  -- 32 sums to a row: it stays below the 2 kB at which Postgres would compress it or store it elsewhere
  insert into projection.dated_sums_v (
    tenant_id, version, account_id, level, end_position, series, first_at, instants,
    posted_debits, posted_credits, pending_debits, pending_credits
  )
  select
    p_tenant_id, p_version, p_account_id, p_level, p_end, run.series, min(run.instant), array_agg(run.instant order by run.instant),
    case when bool_or(run.posted_debits <> 0) then array_agg(run.posted_debits order by run.instant) else '{}' end,
    case when bool_or(run.posted_credits <> 0) then array_agg(run.posted_credits order by run.instant) else '{}' end,
    case when bool_or(run.pending_debits <> 0) then array_agg(run.pending_debits order by run.instant) else '{}' end,
    case when bool_or(run.pending_credits <> 0) then array_agg(run.pending_credits order by run.instant) else '{}' end
  from (
    select
      added.series, added.instant,
      (row_number() over so_far - 1) / 32 as chunk,
      sum(added.posted_debits) over so_far as posted_debits,
      sum(added.posted_credits) over so_far as posted_credits,
      sum(added.pending_debits) over so_far as pending_debits,
      sum(added.pending_credits) over so_far as pending_credits
    from (
      select
        item.series, item.instant,
        sum(item.posted_debits) as posted_debits, sum(item.posted_credits) as posted_credits,
        sum(item.pending_debits) as pending_debits, sum(item.pending_credits) as pending_credits
      from unnest(p_series, p_instants, p_posted_debits, p_posted_credits, p_pending_debits, p_pending_credits)
        as item(series, instant, posted_debits, posted_credits, pending_debits, pending_credits)
      group by item.series, item.instant
    ) added
    window so_far as (partition by added.series order by added.instant)
  ) run
  group by run.series, run.chunk;
end;
