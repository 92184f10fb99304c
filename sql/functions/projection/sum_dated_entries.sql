-- Part of projection.apply_entries: the running sums of a block of the lowest level, from its entries.
-- An entry begins to count when it takes effect, or never: then it begins and ceases at its expiry.
create or replace function projection.sum_dated_entries(
  p_tenant_id uuid, p_version integer, p_account_id uuid, p_start bigint, p_start_at timestamptz, p_end bigint, p_end_at timestamptz
) returns void
language sql volatile
set search_path = pg_catalog
begin atomic
  select projection.insert_dated_sums(
    p_tenant_id, p_version, p_account_id, 0, p_end,
    array_agg(counted.series), array_agg(counted.instant),
    array_agg(case when entry.layer = 'posted' and entry.direction = 'debit' then entry.amount else 0 end),
    array_agg(case when entry.layer = 'posted' and entry.direction = 'credit' then entry.amount else 0 end),
    array_agg(case when entry.layer = 'pending' and entry.direction = 'debit' then entry.amount else 0 end),
    array_agg(case when entry.layer = 'pending' and entry.direction = 'credit' then entry.amount else 0 end)
  )
  from ledger.entry
  cross join lateral (
    select 'effective' as series, least(entry.effective_at, entry.expires_at) as instant
    union all
    select 'expiry', entry.expires_at where entry.expires_at is not null
  ) counted
  where entry.tenant_id = p_tenant_id and entry.account_id = p_account_id
    and entry.position > p_start and entry.position <= p_end
    and entry.recorded_at >= p_start_at and entry.recorded_at <= p_end_at
    and (entry.effective_at <> entry.recorded_at or entry.expires_at is not null);
end;
