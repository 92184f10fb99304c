-- The exact balance of an account, by id or code, on both axes; no row when there is no such account. One statement, one snapshot.
-- p_known_position or p_known_at (or neither) say what had been recorded, p_as_of what was in effect; all null is the plain balance now.
-- `position` is the last position that could count. A p_known_position beyond the head counts up to the head. `head_position` is not
-- before p_known_position when the log has come to it, and the head when it has not.
--
-- What it costs is mostly the start of its statements and expressions, not the rows that they read. So each way of asking has few of
-- them, functions are called in assignments, which need no statement, and partitions are left out by variables, before a plan starts.
-- An event at a known position is looked for before the head is: where there is one, the head need not be known.
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
  v_wall text := set_config('app.tenant_id', p_tenant_id::text, true);
  v_clock timestamptz := clock_timestamp();
  v_known_at timestamptz := p_known_at;
  v_head record;
  v_sums record;
begin
  if p_account_id is not null then
    select account.id, account.type, account.currency, account.scale
    into find_balance.account_id, find_balance.type, find_balance.currency, find_balance.scale
    from ledger.account
    where account.tenant_id = p_tenant_id and account.id = p_account_id;
  else
    select account.id, account.type, account.currency, account.scale
    into find_balance.account_id, find_balance.type, find_balance.currency, find_balance.scale
    from ledger.account
    where account.tenant_id = p_tenant_id and account.code = p_code;
  end if;
  if not found then
    return;
  end if;

  if p_known_position is null and p_known_at is null and p_as_of is null then
    v_head := log.head(p_tenant_id);
    head_position := v_head.position;
    position := v_head.position;
    v_clock := greatest(v_clock, v_head.recorded_at);
    -- as ledger.limited_balances: the projection as far as it has come, nearly always to the head, and the entries after it
    select
      coalesce(consumer.position, 0) as position, coalesce(consumer.recorded_at, '-infinity') as recorded_at,
      coalesce(base.posted_debits, 0) as posted_debits, coalesce(base.posted_credits, 0) as posted_credits,
      coalesce(base.pending_debits - base.expired_debits, 0) - coalesce(expired.pending_debits, 0) as pending_debits,
      coalesce(base.pending_credits - base.expired_credits, 0) - coalesce(expired.pending_credits, 0) as pending_credits
    into v_sums
    from (values (true)) as always
    left join log.consumer on consumer.tenant_id = p_tenant_id and consumer.name = 'balances'
    left join projection.balances_v base
      on base.tenant_id = p_tenant_id and base.version = consumer.version and base.account_id = find_balance.account_id
    cross join lateral (
      select sum(holds.pending_debits) as pending_debits, sum(holds.pending_credits) as pending_credits
      from projection.expiring_holds_v holds
      where holds.tenant_id = p_tenant_id and holds.version = consumer.version and holds.expires_at <= v_clock
        and holds.account_id = find_balance.account_id
    ) expired;
    if v_sums.position < v_head.position then
      select
        v_sums.posted_debits + coalesce(sum(entry.amount) filter (where entry.layer = 'posted' and entry.direction = 'debit'), 0) as posted_debits,
        v_sums.posted_credits + coalesce(sum(entry.amount) filter (where entry.layer = 'posted' and entry.direction = 'credit'), 0) as posted_credits,
        v_sums.pending_debits + coalesce(sum(entry.amount) filter (where entry.layer = 'pending' and entry.direction = 'debit'), 0) as pending_debits,
        v_sums.pending_credits + coalesce(sum(entry.amount) filter (where entry.layer = 'pending' and entry.direction = 'credit'), 0) as pending_credits
      into v_sums
      from ledger.entry
      where entry.tenant_id = p_tenant_id and entry.account_id = find_balance.account_id and entry.position > v_sums.position
        and entry.recorded_at >= v_sums.recorded_at and entry.recorded_at <= v_clock
        and (entry.expires_at is null or entry.expires_at > v_clock);
    end if;
  else
    if p_known_at is not null then
      position := log.position_at(p_tenant_id, p_known_at);
      head_position := find_balance.position;
    elsif p_known_position is not null then
      select event.position, event.position, event.recorded_at into find_balance.head_position, find_balance.position, v_known_at
      from log.event
      where event.tenant_id = p_tenant_id and event.position = p_known_position and event.recorded_at <= v_clock;
    end if;
    -- no p_known_position, or one that was not found: 0, ahead, or recorded by a clock that was ahead
    if v_known_at is null then
      v_head := log.head(p_tenant_id);
      head_position := v_head.position;
      position := least(v_head.position, p_known_position);
      v_known_at := v_head.recorded_at;
      if p_known_position < v_head.position then
        v_known_at := coalesce(
          (
            select event.recorded_at
            from log.event
            where event.tenant_id = p_tenant_id and event.position = p_known_position and event.recorded_at <= v_head.recorded_at
          ),
          '-infinity'
        );
      end if;
    end if;
    v_sums := ledger.balance_at(p_tenant_id, find_balance.account_id, find_balance.position, v_known_at, p_as_of);
  end if;
  posted_debits := v_sums.posted_debits;
  posted_credits := v_sums.posted_credits;
  pending_debits := v_sums.pending_debits;
  pending_credits := v_sums.pending_credits;
  return next;
end;
$$;
