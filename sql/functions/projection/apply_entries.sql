-- Carries forward what is summed from entries (balances, balances by day, and daily activity) by at most p_limit positions: one pass over the
-- entries for all three. p_balances, p_balances_daily and p_reports are the consumers that are to be moved (the projection's own, or one
-- that builds another version); null for none. With p_balances the slice is its own, and the others go along if they stand where it stands, have
-- not failed there, and nobody else is at them; one that stands further ahead ends the slice, and can go along with the next. `along` says who did.
-- So do invoices (p_invoices), which are made of other rows and are spared a slice of their own. Without p_balances one of the two others is given, and
-- goes alone. One call is one statement, one transaction.
--
-- Answers what log.begin_slice says of the leader, and the position reached.
-- Groups by hash: the plan fits any slice, and for a large one its sort would go through files. Then writes account by account in the order of
-- their ids, which is that of the index and mostly that of the rows: neighbours find the same pages at hand. Days are those of the day on which the
-- slice ends in most slices, and found in the same way; the others one by one.
-- Reads no rows but those of the slice's accounts, whatever is thought of the number of all: their ids are an array, searched for in one pass of
-- the index, and nothing is joined by a nested loop, which would be the choice for few rows.
-- Any slicing comes to the same rows: a checkpoint or a block ends at the position at which its account's count passes a multiple. By day an entry
-- that expires counts from the day on which it takes effect (or expires, if that is earlier), and is taken back when it expires.
--
-- Locks: the consumers' rows, until commit, and never waits for them. Not the tenant's, so posting goes on meanwhile.
-- Commits without waiting for the disk: what is lost of this, rows and positions together, is applied again.
create or replace function projection.apply_entries(
  p_tenant_id uuid, p_balances text, p_balances_daily text, p_reports text, p_invoices text, p_limit integer,
  out state text, out "position" bigint, out head_position bigint, out retry_ms integer, out along text[]
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
  -- entries of an account between two of its checkpoints; a reader counts at most these itself
  c_checkpoint constant bigint := 128;
  -- before 17 Postgres may look for the ids of an array among all rows of the tenant; then each row is written as a conflict
  -- would have it, and each account is looked up by itself
  c_by_array constant boolean := current_setting('server_version_num')::integer >= 170000;
  v_leader text := coalesce(p_balances, p_balances_daily, p_reports);
  v_slice record;
  v_ahead record;
  v_start bigint;
  v_start_at timestamptz;
  v_end_at timestamptz;
  -- on which the slice ends
  v_day date;
  -- versions of the rows that are written; null for what is not
  v_balances integer;
  v_daily integer;
  v_reports integer;
  v_invoices integer;
  v_by_day boolean;
  v_batch record;
begin
  perform set_config('synchronous_commit', 'off', true);
  select * into v_slice from log.begin_slice(p_tenant_id, v_leader, p_limit);
  state := v_slice.state;
  position := v_slice.up_to_position;
  head_position := v_slice.head_position;
  retry_ms := v_slice.retry_ms;
  along := '{}';
  if v_slice.state <> 'slice' then
    return;
  end if;
  v_start := v_slice.after_position;
  v_start_at := v_slice.after_at;
  v_end_at := v_slice.up_to_at;
  if v_leader = p_balances then
    v_balances := v_slice.version;
  elsif v_leader = p_balances_daily then
    v_daily := v_slice.version;
  else
    v_reports := v_slice.version;
  end if;

  if v_balances is not null and (p_balances_daily is not null or p_reports is not null or p_invoices is not null) then
    with beside as materialized (
      select consumer.name, consumer.version
      from log.consumer
      where consumer.tenant_id = p_tenant_id and consumer.name in (p_balances_daily, p_reports, p_invoices)
        and consumer.position = v_start and consumer.attempts = 0
      for update skip locked
    )
    select
      max(beside.version) filter (where beside.name = p_balances_daily) as daily,
      max(beside.version) filter (where beside.name = p_reports) as reports,
      max(beside.version) filter (where beside.name = p_invoices) as invoices,
      coalesce(array_agg(beside.name), '{}') as names
    into v_daily, v_reports, v_invoices, along
    from beside;

    if cardinality(along) < num_nonnulls(p_balances_daily, p_reports, p_invoices) then
      select consumer.position, consumer.recorded_at into v_ahead
      from log.consumer
      where consumer.tenant_id = p_tenant_id and consumer.name in (p_balances_daily, p_reports, p_invoices)
        and consumer.position > v_start and consumer.position < apply_entries.position and consumer.attempts = 0
      order by consumer.position
      limit 1;
      if found then
        position := v_ahead.position;
        v_end_at := v_ahead.recorded_at;
      end if;
    end if;
  end if;
  v_by_day := v_daily is not null or v_reports is not null;
  v_day := v_end_at::date;

  with grouped as materialized (
    -- sums are null where the slice has nothing of their kind: what there is then stays as it is
    -- by the beginning of a day: it costs less for an entry than the date, which each group is then given
    select
      entry.account_id,
      (case when v_by_day then date_bin('1 day', least(entry.effective_at, entry.expires_at), '0001-01-01Z') end)::date as effective_on,
      (case when v_by_day then date_bin('1 day', entry.recorded_at, '0001-01-01Z') end)::date as recorded_on,
      sum(entry.amount) filter (where entry.layer = 'posted' and entry.direction = 'debit') as posted_debits,
      sum(entry.amount) filter (where entry.layer = 'posted' and entry.direction = 'credit') as posted_credits,
      sum(entry.amount) filter (where entry.layer = 'pending' and entry.direction = 'debit') as pending_debits,
      sum(entry.amount) filter (where entry.layer = 'pending' and entry.direction = 'credit') as pending_credits,
      count(*) as entry_count,
      count(*) filter (where entry.layer = 'posted') as posted_count,
      bool_or(entry.effective_at <> entry.recorded_at or entry.expires_at is not null) as has_dated
    from (
      select entry.account_id, entry.layer, entry.direction, entry.amount, entry.effective_at, entry.recorded_at, entry.expires_at
      from ledger.entry
      where entry.tenant_id = p_tenant_id and entry.position > v_start and entry.position <= apply_entries.position
        and entry.recorded_at >= v_start_at and entry.recorded_at <= v_end_at
      -- found by their positions: grouped in the order of the index by account, they would be looked for in all history
      offset 0
    ) entry
    group by
      entry.account_id,
      (case when v_by_day then date_bin('1 day', least(entry.effective_at, entry.expires_at), '0001-01-01Z') end),
      (case when v_by_day then date_bin('1 day', entry.recorded_at, '0001-01-01Z') end)
  ),
  brought as materialized (
    select
      grouped.*, c_by_array and grouped.effective_on = v_day and grouped.recorded_on = v_day as of_day
    from grouped
    order by grouped.account_id
  ),
  slice as materialized (
    select
      coalesce(min(brought.effective_on) <> max(brought.effective_on) or min(brought.recorded_on) <> max(brought.recorded_on), false) as has_days,
      coalesce(bool_or(brought.has_dated), false) as has_dated,
      coalesce(bool_or(brought.pending_debits is not null or brought.pending_credits is not null), false) as has_pending
    from brought
  ),
  delta as materialized (
    select
      brought.account_id, brought.posted_debits, brought.posted_credits, brought.pending_debits, brought.pending_credits, brought.entry_count
    from brought
    where v_balances is not null and not (select slice.has_days from slice)
    union all
    select
      brought.account_id, sum(brought.posted_debits), sum(brought.posted_credits), sum(brought.pending_debits), sum(brought.pending_credits),
      sum(brought.entry_count)::bigint
    from brought
    where v_balances is not null and (select slice.has_days from slice)
    group by brought.account_id
  ),
  updated as (
    update projection.balances_v balances
    set
      posted_debits = coalesce(balances.posted_debits + delta.posted_debits, balances.posted_debits),
      posted_credits = coalesce(balances.posted_credits + delta.posted_credits, balances.posted_credits),
      pending_debits = coalesce(balances.pending_debits + delta.pending_debits, balances.pending_debits),
      pending_credits = coalesce(balances.pending_credits + delta.pending_credits, balances.pending_credits),
      entry_count = balances.entry_count + delta.entry_count
    from delta
    where c_by_array and v_balances is not null
      and balances.tenant_id = p_tenant_id and balances.version = v_balances and balances.account_id = delta.account_id
      and balances.account_id = any (array(select delta.account_id from delta))
    returning balances.account_id, balances.entry_count, delta.entry_count as added_count
  ),
  inserted as (
    insert into projection.balances_v as balances (
      tenant_id, version, account_id, posted_debits, posted_credits, pending_debits, pending_credits, expired_debits, expired_credits,
      dated_posted_debits, dated_posted_credits, dated_pending_debits, dated_pending_credits, entry_count, dated_count
    )
    select
      p_tenant_id, v_balances, delta.account_id,
      coalesce(delta.posted_debits, 0), coalesce(delta.posted_credits, 0), coalesce(delta.pending_debits, 0), coalesce(delta.pending_credits, 0),
      0, 0, 0, 0, 0, 0, delta.entry_count, 0
    from delta
    where not exists (select from updated where updated.account_id = delta.account_id)
    on conflict on constraint balances_v_pkey do update
    set
      posted_debits = balances.posted_debits + excluded.posted_debits,
      posted_credits = balances.posted_credits + excluded.posted_credits,
      pending_debits = balances.pending_debits + excluded.pending_debits,
      pending_credits = balances.pending_credits + excluded.pending_credits,
      entry_count = balances.entry_count + excluded.entry_count
    returning balances.account_id, balances.entry_count
  ),
  updated_days as (
    update projection.balances_daily_v days
    set
      posted_debits = coalesce(days.posted_debits + brought.posted_debits, days.posted_debits),
      posted_credits = coalesce(days.posted_credits + brought.posted_credits, days.posted_credits),
      pending_debits = coalesce(days.pending_debits + brought.pending_debits, days.pending_debits),
      pending_credits = coalesce(days.pending_credits + brought.pending_credits, days.pending_credits)
    from brought
    where c_by_array and v_daily is not null and brought.of_day
      and days.tenant_id = p_tenant_id and days.version = v_daily and days.account_id = brought.account_id
      and days.effective_on = v_day and days.recorded_on = v_day
      and days.account_id = any (array(select brought.account_id from brought where brought.of_day))
    returning days.account_id
  ),
  inserted_days as (
    insert into projection.balances_daily_v as days (
      tenant_id, version, account_id, effective_on, recorded_on, posted_debits, posted_credits, pending_debits, pending_credits
    )
    select
      p_tenant_id, v_daily, brought.account_id, brought.effective_on, brought.recorded_on,
      coalesce(brought.posted_debits, 0), coalesce(brought.posted_credits, 0),
      coalesce(brought.pending_debits, 0), coalesce(brought.pending_credits, 0)
    from brought
    where v_daily is not null
      and not exists (select from updated_days where updated_days.account_id = brought.account_id and brought.of_day)
    on conflict on constraint balances_daily_v_pkey do update
    set
      posted_debits = days.posted_debits + excluded.posted_debits,
      posted_credits = days.posted_credits + excluded.posted_credits,
      pending_debits = days.pending_debits + excluded.pending_debits,
      pending_credits = days.pending_credits + excluded.pending_credits
  ),
  named as (
    select brought.*, account.type, account.currency, account.scale
    from brought
    join ledger.account on account.tenant_id = p_tenant_id and account.id = brought.account_id
      and account.id = any (array(select brought.account_id from brought))
    where v_reports is not null and c_by_array and brought.posted_count > 0
    union all
    select brought.*, account.type, account.currency, account.scale
    from brought
    -- lateral and not to be joined in another way, whatever is thought of their number
    cross join lateral (
      select account.type, account.currency, account.scale
      from ledger.account
      where account.tenant_id = p_tenant_id and account.id = brought.account_id
      offset 0
    ) account
    where v_reports is not null and not c_by_array and brought.posted_count > 0
  ),
  reported as (
    insert into projection.reports_v as report (
      tenant_id, version, dimension, effective_on, value, account_type, currency, scale, debits, credits, entry_count
    )
    select
      p_tenant_id, v_reports, '', named.effective_on, '', named.type, named.currency, max(named.scale),
      coalesce(sum(named.posted_debits), 0), coalesce(sum(named.posted_credits), 0), sum(named.posted_count)
    from named
    group by named.effective_on, named.type, named.currency
    on conflict on constraint reports_v_pkey do update
    set
      debits = report.debits + excluded.debits,
      credits = report.credits + excluded.credits,
      entry_count = report.entry_count + excluded.entry_count
  )
  select
    array_agg(counted.account_id) filter (where passed.checkpoint) as checkpoint_ids,
    array_agg(counted.entry_count - counted.added_count) filter (where passed.checkpoint) as counts_before,
    (select slice.has_dated from slice) as has_dated,
    (select slice.has_pending from slice) as has_pending,
    v_balances is not null and exists (
      select from projection.expiring_holds_v holds
      where holds.tenant_id = p_tenant_id and holds.version = v_balances and holds.expires_at <= v_end_at
    ) as has_expired,
    v_reports is not null and exists (
      select from projection.report_dimension dimension
      where dimension.tenant_id = p_tenant_id and dimension.after_position < apply_entries.position
    ) as has_dimensions
  into v_batch
  from (
    select * from updated
    union all
    select inserted.account_id, inserted.entry_count, delta.entry_count
    from inserted
    join delta on delta.account_id = inserted.account_id
  ) counted
  cross join lateral (
    select counted.entry_count / c_checkpoint > (counted.entry_count - counted.added_count) / c_checkpoint as checkpoint
  ) passed;

  if v_balances is not null and v_batch.has_dated then
    perform projection.apply_dated_entries(p_tenant_id, v_balances, v_start, v_start_at, apply_entries.position, v_end_at);
  end if;
  if v_batch.checkpoint_ids is not null then
    perform projection.add_checkpoints(
      p_tenant_id, v_balances, v_batch.checkpoint_ids, v_batch.counts_before, c_checkpoint, v_start, v_start_at, apply_entries.position, v_end_at
    );
  end if;
  if v_balances is not null and v_batch.has_pending then
    perform projection.apply_holds(p_tenant_id, v_balances, v_start, v_start_at, apply_entries.position, v_end_at);
  end if;

  -- those before the slice, or of it
  if v_batch.has_expired or (v_balances is not null and v_batch.has_pending) then
    with expired as (
      delete from projection.expiring_holds_v holds
      where holds.tenant_id = p_tenant_id and holds.version = v_balances and holds.expires_at <= v_end_at
      returning holds.account_id, holds.pending_debits, holds.pending_credits
    )
    update projection.balances_v balances
    set
      expired_debits = balances.expired_debits + sums.pending_debits,
      expired_credits = balances.expired_credits + sums.pending_credits
    from (
      select expired.account_id, sum(expired.pending_debits) as pending_debits, sum(expired.pending_credits) as pending_credits
      from expired
      group by expired.account_id
    ) sums
    where balances.tenant_id = p_tenant_id and balances.version = v_balances and balances.account_id = sums.account_id
      and balances.account_id = any (array(select expired.account_id from expired));
  end if;

  -- what expires, taken back by day; apart: few slices have any
  if v_daily is not null and v_batch.has_pending then
    insert into projection.balances_daily_v as days (
      tenant_id, version, account_id, effective_on, recorded_on, posted_debits, posted_credits, pending_debits, pending_credits
    )
    select
      p_tenant_id, v_daily, entry.account_id, entry.expires_at::date, entry.recorded_at::date, 0, 0,
      -coalesce(sum(entry.amount) filter (where entry.direction = 'debit'), 0),
      -coalesce(sum(entry.amount) filter (where entry.direction = 'credit'), 0)
    from ledger.entry
    where entry.tenant_id = p_tenant_id and entry.position > v_start and entry.position <= apply_entries.position
      and entry.recorded_at >= v_start_at and entry.recorded_at <= v_end_at
      and entry.expires_at is not null
    group by entry.account_id, entry.expires_at::date, entry.recorded_at::date
    on conflict on constraint balances_daily_v_pkey do update
    set
      pending_debits = days.pending_debits + excluded.pending_debits,
      pending_credits = days.pending_credits + excluded.pending_credits;
  end if;
  if v_batch.has_dimensions then
    perform projection.apply_report_dimensions(p_tenant_id, v_reports, v_start, v_start_at, apply_entries.position, v_end_at);
  end if;
  if v_invoices is not null then
    perform projection.add_invoices(p_tenant_id, v_invoices, v_start, v_start_at, apply_entries.position, v_end_at);
  end if;

  perform log.end_slice(p_tenant_id, array_append(along, v_leader), apply_entries.position, v_end_at);
end;
$$;
