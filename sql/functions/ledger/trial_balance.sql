-- The accounts that do not come to zero, in the order of their codes, byte by byte, at most p_limit after p_after_code, with what is posted
-- net in the column of its side; and the totals over all accounts per currency when p_with_totals. On both axes: see ledger.find_balance.
-- One statement, one snapshot. At least one row, with a null code when there is no line.
--
-- With totals it costs, now, a few microseconds for each account; at another instant some tens (ledger.posted_at). Without, only the
-- accounts up to the last line are looked at.
create or replace function ledger.trial_balance(
  p_tenant_id uuid, p_known_position bigint, p_known_at timestamptz, p_as_of timestamptz,
  p_after_code text, p_limit integer, p_with_totals boolean
)
returns table (
  head_position bigint, "position" bigint, totals json,
  account_id uuid, code text, type text, currency text, scale smallint, debits numeric, credits numeric
)
language plpgsql stable
set search_path = pg_catalog
set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
declare
  v_known record;
begin
  perform set_config('app.tenant_id', p_tenant_id::text, true);
  select * into v_known from ledger.find_known_position(p_tenant_id, p_known_position, p_known_at);

  if not p_with_totals then
    return query
    select
      v_known.head_position, v_known.position, null::json, line.account_id, line.code, line.type, line.currency, line.scale,
      greatest(line.amount, 0), greatest(-line.amount, 0)
    from (values (true)) as always
    left join (
      select account.id as account_id, account.code, account.type, account.currency, account.scale, net.amount
      from ledger.account
      cross join lateral ledger.balance_at(p_tenant_id, account.id, v_known.position, v_known.known_at, p_as_of) balance
      cross join lateral (select balance.posted_debits - balance.posted_credits as amount) net
      where account.tenant_id = p_tenant_id and account.code collate "C" > p_after_code and net.amount <> 0
      order by account.code collate "C"
      limit p_limit
    ) line on true
    order by line.code collate "C";
    return;
  end if;

  return query
  with net as materialized (
    select account.account_id, account.code, account.type, account.currency, account.scale, account.posted_debits - account.posted_credits as amount
    from ledger.find_current_balances(p_tenant_id, '', chr(127), greatest(clock_timestamp(), v_known.head_at)) account
    where p_as_of is null and v_known.position = v_known.head_position
    union all
    select account.id, account.code, account.type, account.currency, account.scale, posted.posted_debits - posted.posted_credits
    from ledger.posted_at(p_tenant_id, v_known.position, v_known.known_at, p_as_of) posted
    join ledger.account on account.tenant_id = p_tenant_id and account.id = posted.account_id
    where not (p_as_of is null and v_known.position = v_known.head_position)
  ),
  total as (
    select json_agg(json_build_object(
      'currency', per_currency.currency, 'scale', per_currency.scale, 'debits', per_currency.debits::text, 'credits', per_currency.credits::text
    ) order by per_currency.currency) as totals
    from (
      select net.currency, max(net.scale) as scale, sum(greatest(net.amount, 0)) as debits, sum(greatest(-net.amount, 0)) as credits
      from net
      group by net.currency
    ) per_currency
  )
  select
    v_known.head_position, v_known.position, total.totals, line.account_id, line.code, line.type, line.currency, line.scale,
    greatest(line.amount, 0), greatest(-line.amount, 0)
  from total
  left join (
    select net.*
    from net
    where net.amount <> 0 and net.code collate "C" > p_after_code
    order by net.code collate "C"
    limit p_limit
  ) line on true
  order by line.code collate "C";
end;
$$;
