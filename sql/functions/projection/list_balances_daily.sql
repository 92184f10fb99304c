-- Balances of a tenant's accounts at the end of a business day as known at the end of a recorded day (null:
-- as far as the projection has come), days being those of UTC, from the rows of a version. In the order of codes, byte by byte, after p_after_code,
-- at most p_limit. Holds that had expired by the end of the business day do not count. Accounts without entries by then are left out.
-- Reads one row for each pair of days on which an account had entries.
create or replace function projection.list_balances_daily(
  p_tenant_id uuid, p_version integer, p_as_of date, p_known_on date, p_account text, p_code_prefix text, p_currency text,
  p_after_code text, p_limit integer
)
returns table (
  account_id uuid, code text, type text, currency text, scale smallint,
  posted_debits numeric, posted_credits numeric, pending_debits numeric, pending_credits numeric
)
language sql stable
set search_path = pg_catalog
set plan_cache_mode = force_custom_plan
begin atomic
  select account.id, account.code, account.type, account.currency, account.scale,
    coalesce(sums.posted_debits, 0), coalesce(sums.posted_credits, 0), coalesce(sums.pending_debits, 0), coalesce(sums.pending_credits, 0)
  from ledger.account
  cross join lateral (
    select
      sum(days.posted_debits) as posted_debits, sum(days.posted_credits) as posted_credits,
      sum(days.pending_debits) as pending_debits, sum(days.pending_credits) as pending_credits, count(*) as day_count
    from projection.balances_daily_v days
    where days.tenant_id = p_tenant_id and days.version = p_version and days.account_id = account.id
      and days.effective_on <= p_as_of and (p_known_on is null or days.recorded_on <= p_known_on)
  ) sums
  where account.tenant_id = p_tenant_id and sums.day_count > 0
    and (p_account is null or account.code = p_account or account.id::text = p_account)
    and account.code collate "C" >= p_code_prefix collate "C" and account.code collate "C" < (p_code_prefix || chr(127)) collate "C"
    and account.code collate "C" > p_after_code collate "C"
    and (p_currency is null or account.currency = p_currency)
  order by account.code collate "C"
  limit p_limit;
end;
