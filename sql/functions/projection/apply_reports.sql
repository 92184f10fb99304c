-- Carries daily activity forward by at most p_limit positions: what was posted, by business day, type of account and currency, in all and per
-- value of each dimension. One call is one transaction; answers what log.begin_slice says, and the position reached.
-- Groups by hash: the plan fits any slice, and for a large one its sort would go through files. Finds the accounts as projection.apply_balances
-- finds balances: their ids are an array, searched for in one pass of the index.
--
-- Locks: the consumer's row, until commit.
-- Commits without waiting for the disk: what is lost of this, rows and position together, is applied again.
create or replace function projection.apply_reports(
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
  -- before 17 Postgres may look for the ids of an array among all rows of the tenant; then each account is looked up by itself
  c_by_array constant boolean := current_setting('server_version_num')::integer >= 170000;
  v_slice record;
  v_has_dimensions boolean;
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

  with posted as materialized (
    select
      entry.account_id, date_bin('1 day', entry.effective_at, '0001-01-01Z') as effective_on,
      sum(entry.amount) filter (where entry.direction = 'debit') as debits,
      sum(entry.amount) filter (where entry.direction = 'credit') as credits,
      count(*) as entry_count
    from ledger.entry
    where entry.tenant_id = p_tenant_id
      and entry.position > v_slice.after_position and entry.position <= v_slice.up_to_position
      and entry.recorded_at >= v_slice.after_at and entry.recorded_at <= v_slice.up_to_at
      and entry.layer = 'posted'
    group by 1, 2
  ),
  named as (
    select posted.*, account.type, account.currency, account.scale
    from posted
    join ledger.account on account.tenant_id = p_tenant_id and account.id = posted.account_id
      and account.id = any (array(select posted.account_id from posted))
    where c_by_array
    union all
    select posted.*, account.type, account.currency, account.scale
    from posted
    -- lateral and not to be joined in another way, whatever is thought of their number
    cross join lateral (
      select account.type, account.currency, account.scale
      from ledger.account
      where account.tenant_id = p_tenant_id and account.id = posted.account_id
      offset 0
    ) account
    where not c_by_array
  ),
  added as (
    insert into projection.reports_v as report (
      tenant_id, version, dimension, effective_on, value, account_type, currency, scale, debits, credits, entry_count
    )
    select
      p_tenant_id, v_slice.version, '', named.effective_on::date, '', named.type, named.currency, max(named.scale),
      coalesce(sum(named.debits), 0), coalesce(sum(named.credits), 0), sum(named.entry_count)
    from named
    group by named.effective_on, named.type, named.currency
    on conflict on constraint reports_v_pkey do update
    set
      debits = report.debits + excluded.debits,
      credits = report.credits + excluded.credits,
      entry_count = report.entry_count + excluded.entry_count
  )
  select exists (
    select
    from projection.report_dimension dimension
    where dimension.tenant_id = p_tenant_id and dimension.after_position < v_slice.up_to_position
  )
  into v_has_dimensions;

  if v_has_dimensions then
    perform projection.apply_report_dimensions(
      p_tenant_id, v_slice.version, v_slice.after_position, v_slice.after_at, v_slice.up_to_position, v_slice.up_to_at
    );
  end if;

  perform log.end_slice(p_tenant_id, p_consumer, v_slice.up_to_position, v_slice.up_to_at);
end;
$$;
