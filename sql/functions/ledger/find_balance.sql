-- The exact balance of an account, by id or code, on both axes; no row when there is no such account. One statement, one snapshot.
-- p_known_position or p_known_at (or neither) say what had been recorded, p_as_of what was in effect; all null is the plain balance now.
-- `position` is the last position that could count. A p_known_position beyond the head counts up to the head.
create or replace function ledger.find_balance(
  p_tenant_id uuid, p_account_id uuid, p_code text, p_known_position bigint, p_known_at timestamptz, p_as_of timestamptz
)
returns table (
  account_id uuid, type text, currency text, scale smallint, head_position bigint, "position" bigint,
  posted_debits numeric, posted_credits numeric, pending_debits numeric, pending_credits numeric
)
language plpgsql stable
set search_path = pg_catalog
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  v_account record;
  v_head record;
  v_known_at timestamptz := p_known_at;
  v_sums record;
begin
  perform set_config('app.tenant_id', p_tenant_id::text, true);
  if p_account_id is not null then
    select account.id, account.type, account.currency, account.scale into v_account
    from ledger.account
    where account.tenant_id = p_tenant_id and account.id = p_account_id;
  else
    select account.id, account.type, account.currency, account.scale into v_account
    from ledger.account
    where account.tenant_id = p_tenant_id and account.code = p_code;
  end if;
  if not found then
    return;
  end if;
  account_id := v_account.id;
  type := v_account.type;
  currency := v_account.currency;
  scale := v_account.scale;
  select * into v_head from log.head(p_tenant_id);
  head_position := v_head.position;

  if p_known_position is null and p_known_at is null and p_as_of is null then
    position := v_head.position;
    select * into v_sums from ledger.limited_balances(
      p_tenant_id, array[v_account.id], greatest(clock_timestamp(), v_head.recorded_at)
    );
  else
    if p_known_at is not null then
      position := log.position_at(p_tenant_id, p_known_at);
    elsif p_known_position < v_head.position then
      position := p_known_position;
      select event.recorded_at into v_known_at
      from log.event
      where event.tenant_id = p_tenant_id and event.position = p_known_position and event.recorded_at <= v_head.recorded_at;
      -- position 0
      v_known_at := coalesce(v_known_at, '-infinity');
    else
      position := v_head.position;
      v_known_at := v_head.recorded_at;
    end if;
    select * into v_sums from ledger.balance_at(p_tenant_id, v_account.id, find_balance.position, v_known_at, p_as_of);
  end if;
  posted_debits := v_sums.posted_debits;
  posted_credits := v_sums.posted_credits;
  pending_debits := v_sums.pending_debits;
  pending_credits := v_sums.pending_credits;
  return next;
end;
$$;
