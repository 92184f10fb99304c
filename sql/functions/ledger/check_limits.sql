-- The balances of limited accounts before a batch, and whether their limits hold whatever part of the batch is posted in whatever order:
-- the worst outflow is what all decreasing commands take together, the worst inflow what all increasing commands bring. Minor units in the
-- normal direction, in the order of p_account_ids. An account with holds has a null instead: what it has available changes with time.
create or replace function ledger.check_limits(
  p_tenant_id uuid,
  p_now timestamptz,
  p_account_ids uuid[],
  p_debit_normals boolean[],
  p_available_mins numeric[],
  p_posted_maxs numeric[],
  p_worst_outs numeric[],
  p_worst_ins numeric[],
  out hold boolean,
  out balances numeric[]
)
language plpgsql volatile
set search_path = pg_catalog
as $$
begin
  select
    bool_and(
      (limited.worst_out = 0 or coalesce(normal.posted - normal.held_out - limited.worst_out >= limited.available_min, true))
      and (limited.worst_in = 0 or coalesce(normal.posted + limited.worst_in <= limited.posted_max, true))
    ),
    array_agg(case when not normal.has_holds then normal.posted end order by limited.number)
  into hold, balances
  from unnest(p_account_ids, p_debit_normals, p_available_mins, p_posted_maxs, p_worst_outs, p_worst_ins) with ordinality
    as limited(account_id, debit_normal, available_min, posted_max, worst_out, worst_in, number)
  join ledger.limited_balances(p_tenant_id, p_account_ids, p_now) balance on balance.account_id = limited.account_id
  cross join lateral (
    select
      case when limited.debit_normal then balance.posted_debits - balance.posted_credits
        else balance.posted_credits - balance.posted_debits end as posted,
      case when limited.debit_normal then balance.pending_credits else balance.pending_debits end as held_out,
      balance.pending_debits <> 0 or balance.pending_credits <> 0 as has_holds
  ) normal;
end;
$$;
