-- Carries balances by day forward by at most p_limit positions: what entries bring to an account, by the day on which they take effect and
-- the day on which they were recorded. One call is one transaction; answers what log.begin_slice says, and the position reached.
-- An entry that expires counts from the day on which it takes effect (or expires, if that is earlier) and is taken back when it expires.
-- Groups by hash: the plan fits any slice, and for a large one its sort would go through files. Then writes in the order of the accounts' ids,
-- which is that of the index and mostly that of the rows. Those of the day on which the slice ends, and in most slices all, are found as
-- projection.apply_balances finds balances; the others one by one.
--
-- Locks: the consumer's row, until commit.
-- Commits without waiting for the disk: what is lost of this, rows and position together, is applied again.
create or replace function projection.apply_balances_daily(
  p_tenant_id uuid, p_consumer text, p_limit integer,
  out state text, out "position" bigint, out head_position bigint, out retry_ms integer
)
language plpgsql volatile
set search_path = pg_catalog
set timezone = 'UTC'
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_sort = off
set enable_nestloop = off
set work_mem = '64MB'
set jit = off
as $$
declare
  -- before 17 Postgres may look for the ids of an array among all rows of the tenant; then each row is written as a conflict would have it
  c_by_array constant boolean := current_setting('server_version_num')::integer >= 170000;
  v_slice record;
  -- on which the slice ends
  v_day date;
  v_has_expiring boolean;
begin
  perform set_config('synchronous_commit', 'off', true);
  select * into v_slice from log.begin_slice(p_tenant_id, p_consumer, p_limit);
  state := v_slice.state;
  position := v_slice.up_to_position;
  head_position := v_slice.head_position;
  retry_ms := v_slice.retry_ms;
  if v_slice.state <> 'slice' then
    return;
  end if;

  v_day := v_slice.up_to_at::date;
  with grouped as materialized (
    -- sums are null where the slice has nothing of their kind: the day then stays as it is
    -- by the beginning of a day: it costs less for an entry than the date, which each group is then given
    select
      entry.account_id,
      date_bin('1 day', least(entry.effective_at, entry.expires_at), '0001-01-01Z')::date as effective_on,
      date_bin('1 day', entry.recorded_at, '0001-01-01Z')::date as recorded_on,
      sum(entry.amount) filter (where entry.layer = 'posted' and entry.direction = 'debit') as posted_debits,
      sum(entry.amount) filter (where entry.layer = 'posted' and entry.direction = 'credit') as posted_credits,
      sum(entry.amount) filter (where entry.layer = 'pending' and entry.direction = 'debit') as pending_debits,
      sum(entry.amount) filter (where entry.layer = 'pending' and entry.direction = 'credit') as pending_credits,
      count(entry.expires_at) as expiring_count
    from ledger.entry
    where entry.tenant_id = p_tenant_id
      and entry.position > v_slice.after_position and entry.position <= v_slice.up_to_position
      and entry.recorded_at >= v_slice.after_at and entry.recorded_at <= v_slice.up_to_at
    group by
      entry.account_id,
      date_bin('1 day', least(entry.effective_at, entry.expires_at), '0001-01-01Z'),
      date_bin('1 day', entry.recorded_at, '0001-01-01Z')
  ),
  brought as materialized (
    select grouped.*, c_by_array and grouped.effective_on = v_day and grouped.recorded_on = v_day as of_day
    from grouped
    order by grouped.account_id
  ),
  updated as (
    update projection.balances_daily_v days
    set
      posted_debits = coalesce(days.posted_debits + brought.posted_debits, days.posted_debits),
      posted_credits = coalesce(days.posted_credits + brought.posted_credits, days.posted_credits),
      pending_debits = coalesce(days.pending_debits + brought.pending_debits, days.pending_debits),
      pending_credits = coalesce(days.pending_credits + brought.pending_credits, days.pending_credits)
    from brought
    where c_by_array and brought.of_day
      and days.tenant_id = p_tenant_id and days.version = v_slice.version and days.account_id = brought.account_id
      and days.effective_on = v_day and days.recorded_on = v_day
      and days.account_id = any (array(select brought.account_id from brought where brought.of_day))
    returning days.account_id
  ),
  added as (
    insert into projection.balances_daily_v as days (
      tenant_id, version, account_id, effective_on, recorded_on, posted_debits, posted_credits, pending_debits, pending_credits
    )
    select
      p_tenant_id, v_slice.version, brought.account_id, brought.effective_on, brought.recorded_on,
      coalesce(brought.posted_debits, 0), coalesce(brought.posted_credits, 0),
      coalesce(brought.pending_debits, 0), coalesce(brought.pending_credits, 0)
    from brought
    where not exists (select from updated where updated.account_id = brought.account_id and brought.of_day)
    on conflict on constraint balances_daily_v_pkey do update
    set
      posted_debits = days.posted_debits + excluded.posted_debits,
      posted_credits = days.posted_credits + excluded.posted_credits,
      pending_debits = days.pending_debits + excluded.pending_debits,
      pending_credits = days.pending_credits + excluded.pending_credits
  )
  select exists (select from brought where brought.expiring_count > 0) into v_has_expiring;

  -- apart: few slices have any, and grouped with the rest it would be paid for by every group
  if v_has_expiring then
    insert into projection.balances_daily_v as days (
      tenant_id, version, account_id, effective_on, recorded_on, posted_debits, posted_credits, pending_debits, pending_credits
    )
    select
      p_tenant_id, v_slice.version, entry.account_id, entry.expires_at::date, entry.recorded_at::date, 0, 0,
      -coalesce(sum(entry.amount) filter (where entry.direction = 'debit'), 0),
      -coalesce(sum(entry.amount) filter (where entry.direction = 'credit'), 0)
    from ledger.entry
    where entry.tenant_id = p_tenant_id
      and entry.position > v_slice.after_position and entry.position <= v_slice.up_to_position
      and entry.recorded_at >= v_slice.after_at and entry.recorded_at <= v_slice.up_to_at
      and entry.expires_at is not null
    group by entry.account_id, entry.expires_at::date, entry.recorded_at::date
    on conflict on constraint balances_daily_v_pkey do update
    set
      pending_debits = days.pending_debits + excluded.pending_debits,
      pending_credits = days.pending_credits + excluded.pending_credits;
  end if;

  perform log.end_slice(p_tenant_id, p_consumer, v_slice.up_to_position, v_slice.up_to_at);
end;
$$;
