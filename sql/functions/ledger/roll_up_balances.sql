-- Exact balances now, summed over the accounts whose codes begin with p_code_prefix: per currency, and within it per type (p_group_by
-- 'type') or per next segment of the code ('segment'). Groups in the order of their names, at most p_limit after the one given (nulls:
-- from the first). is_debit: some account's normal side is debit. One statement, one snapshot; no row when there is no account.
create or replace function ledger.roll_up_balances(
  p_tenant_id uuid, p_code_prefix text, p_group_by text, p_after_name text, p_after_currency text, p_limit integer
)
returns table (
  head_position bigint, name text, currency text, scale smallint, account_count bigint, is_debit boolean,
  posted_debits numeric, posted_credits numeric, pending_debits numeric, pending_credits numeric
)
language plpgsql stable
set search_path = pg_catalog
set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
declare
  v_head record;
begin
  perform set_config('app.tenant_id', p_tenant_id::text, true);
  select * into v_head from log.head(p_tenant_id);
  return query
  select
    v_head.position, named.name, balance.currency, max(balance.scale), count(*),
    bool_or(balance.type in ('asset', 'expense')),
    sum(balance.posted_debits), sum(balance.posted_credits), sum(balance.pending_debits), sum(balance.pending_credits)
  from ledger.find_current_balances(
    p_tenant_id, p_code_prefix, p_code_prefix || chr(127), greatest(clock_timestamp(), v_head.recorded_at)
  ) balance
  cross join lateral (
    select case p_group_by
      when 'type' then balance.type
      when 'segment' then p_code_prefix || split_part(substr(balance.code, length(p_code_prefix) + 1), ':', 1)
      else balance.currency
    end as name
  ) named
  where p_after_name is null or (named.name collate "C", balance.currency collate "C") > (p_after_name, p_after_currency)
  group by named.name, balance.currency
  order by named.name collate "C", balance.currency collate "C"
  limit p_limit;
end;
$$;
