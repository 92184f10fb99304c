-- Exact balances, summed over the accounts whose codes begin with p_code_prefix: per currency, and within it per type (p_group_by
-- 'type') or per next segment of the code ('segment'). Now, or on both axes: see ledger.find_balance. Groups in the order of their names, at
-- most p_limit after the one given (nulls: from the first). is_debit: some account's normal side is debit. One statement, one snapshot; at
-- least one row, with a null name when there is no group.
--
-- Now it costs a few microseconds for each account; at another instant some tenths of a millisecond (ledger.balance_at).
create or replace function ledger.roll_up_balances(
  p_tenant_id uuid, p_code_prefix text, p_group_by text, p_after_name text, p_after_currency text, p_limit integer,
  p_known_position bigint default null, p_known_at timestamptz default null, p_as_of timestamptz default null
)
returns table (
  head_position bigint, "position" bigint, name text, currency text, scale smallint, account_count bigint, is_debit boolean,
  posted_debits numeric, posted_credits numeric, pending_debits numeric, pending_credits numeric
)
language plpgsql stable
set search_path = pg_catalog
set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
declare
  v_known record;
  v_is_now boolean := p_known_position is null and p_known_at is null and p_as_of is null;
begin
  perform set_config('app.tenant_id', p_tenant_id::text, true);
  select * into v_known from ledger.find_known_position(p_tenant_id, p_known_position, p_known_at);
  return query
  with balance as (
    select
      account.code, account.type, account.currency, account.scale,
      account.posted_debits, account.posted_credits, account.pending_debits, account.pending_credits
    from ledger.find_current_balances(
      p_tenant_id, p_code_prefix, p_code_prefix || chr(127), greatest(clock_timestamp(), v_known.head_at)
    ) account
    where v_is_now
    union all
    select
      account.code, account.type, account.currency, account.scale,
      sums.posted_debits, sums.posted_credits, sums.pending_debits, sums.pending_credits
    from ledger.account
    cross join lateral ledger.balance_at(p_tenant_id, account.id, v_known.position, v_known.known_at, p_as_of) sums
    where not v_is_now and account.tenant_id = p_tenant_id
      and account.code collate "C" >= p_code_prefix and account.code collate "C" < p_code_prefix || chr(127)
  ),
  rolled_up as (
    select
      named.name, balance.currency, max(balance.scale) as scale, count(*) as account_count,
      bool_or(balance.type in ('asset', 'expense')) as is_debit,
      sum(balance.posted_debits) as posted_debits, sum(balance.posted_credits) as posted_credits,
      sum(balance.pending_debits) as pending_debits, sum(balance.pending_credits) as pending_credits
    from balance
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
    limit p_limit
  )
  select
    v_known.head_position, v_known.position, rolled_up.name, rolled_up.currency, rolled_up.scale, rolled_up.account_count,
    rolled_up.is_debit, rolled_up.posted_debits, rolled_up.posted_credits, rolled_up.pending_debits, rolled_up.pending_credits
  from (values (true)) as always
  left join rolled_up on true
  order by rolled_up.name collate "C", rolled_up.currency collate "C";
end;
$$;
