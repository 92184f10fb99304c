-- Part of projection.apply_entries: what a slice of the log posted per value of each dimension. A capture or reversal that has no value of
-- its own has that of its target. Data is parsed only where the key occurs in its text.
create or replace function projection.apply_report_dimensions(
  p_tenant_id uuid, p_version integer, p_start bigint, p_start_at timestamptz, p_end bigint, p_end_at timestamptz
) returns void
language sql volatile
set search_path = pg_catalog
set timezone = 'UTC'
set enable_seqscan = off
set enable_sort = off
set enable_hashjoin = on
set enable_mergejoin = on
set enable_material = on
set jit = off
begin atomic
  with recursive own as materialized (
    select event.position, event.subject_id as transaction_id, dimension.key as dimension, event.data -> 'metadata' ->> dimension.key as value
    from log.event
    join projection.report_dimension dimension on dimension.tenant_id = p_tenant_id and dimension.after_position < event.position
    where event.tenant_id = p_tenant_id and event.position > p_start and event.position <= p_end
      and event.recorded_at >= p_start_at and event.recorded_at <= p_end_at
      and event.type in ('ledger.transaction_posted', 'ledger.transaction_held')
      and strpos(event.data::text, '"' || dimension.key || '":') > 0
      and event.data -> 'metadata' ->> dimension.key is not null
  ),
  link as materialized (
    select link.position, link.by_transaction_id as transaction_id, link.transaction_id as target_id
    from ledger.transaction_link link
    where link.tenant_id = p_tenant_id and link.position > p_start and link.position <= p_end
      and link.kind in ('capture', 'reversal')
  ),
  tagged as (
    select own.position, own.transaction_id, own.dimension, own.value
    from own
    union all
    select link.position, link.transaction_id, target.dimension, target.value
    from link
    join projection.report_transactions_v target
      on target.tenant_id = p_tenant_id and target.version = p_version and target.transaction_id = link.target_id
    where not exists (select from own where own.position = link.position and own.dimension = target.dimension)
    union all
    select link.position, link.transaction_id, tagged.dimension, tagged.value
    from tagged
    join link on link.target_id = tagged.transaction_id
    where not exists (select from own where own.position = link.position and own.dimension = tagged.dimension)
  ),
  remembered as (
    insert into projection.report_transactions_v (tenant_id, version, transaction_id, dimension, value)
    select p_tenant_id, p_version, tagged.transaction_id, tagged.dimension, tagged.value
    from tagged
  )
  insert into projection.reports_v as report (
    tenant_id, version, dimension, effective_on, value, account_type, currency, scale, debits, credits, entry_count
  )
  select
    p_tenant_id, p_version, tagged.dimension, entry.effective_at::date, tagged.value, account.type, account.currency, max(account.scale),
    coalesce(sum(entry.amount) filter (where entry.direction = 'debit'), 0),
    coalesce(sum(entry.amount) filter (where entry.direction = 'credit'), 0),
    count(*)
  from tagged
  join ledger.entry on entry.tenant_id = p_tenant_id and entry.position = tagged.position
    and entry.position > p_start and entry.position <= p_end
    and entry.recorded_at >= p_start_at and entry.recorded_at <= p_end_at
    and entry.layer = 'posted'
  join ledger.account on account.tenant_id = p_tenant_id and account.id = entry.account_id
  group by tagged.dimension, entry.effective_at::date, tagged.value, account.type, account.currency
  on conflict on constraint reports_v_pkey do update
  set
    debits = report.debits + excluded.debits,
    credits = report.credits + excluded.credits,
    entry_count = report.entry_count + excluded.entry_count;
end;
