-- Whether the limits of all these accounts hold whatever part of the batch is posted in whatever order: the worst outflow is what
-- all decreasing commands take together, the worst inflow what all increasing commands bring. Amounts in the normal direction.
create or replace function ledger.limits_hold(
  p_tenant_id uuid,
  p_now timestamptz,
  p_account_ids uuid[],
  p_debit_normals boolean[],
  p_available_mins numeric[],
  p_posted_maxs numeric[],
  p_worst_outs numeric[],
  p_worst_ins numeric[]
) returns boolean
language plpgsql volatile
set search_path = pg_catalog
as $$
begin
  return not exists (
    select
    from unnest(p_account_ids, p_debit_normals, p_available_mins, p_posted_maxs, p_worst_outs, p_worst_ins)
      as limited(account_id, debit_normal, available_min, posted_max, worst_out, worst_in)
    join ledger.limited_balances(p_tenant_id, p_account_ids, p_now) balance on balance.account_id = limited.account_id
    cross join lateral (
      select
        case when limited.debit_normal then balance.posted_debits - balance.posted_credits
          else balance.posted_credits - balance.posted_debits end as posted,
        case when limited.debit_normal then balance.pending_credits else balance.pending_debits end as held_out
    ) normal
    where (limited.worst_out > 0 and normal.posted - normal.held_out - limited.worst_out < limited.available_min)
      or (limited.worst_in > 0 and normal.posted + limited.worst_in > limited.posted_max)
  );
end;
$$;
