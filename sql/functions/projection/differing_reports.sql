-- Recounts daily activity from entries and events up to the position that the projection has reached. Answers what differs.
-- A value is looked for from each transaction down: its own, else that of what it captures or reverses. Data is parsed only where the key of
-- a dimension occurs in it.
create or replace function projection.differing_reports(p_tenant_id uuid)
returns table (what text, expected text, found text)
language plpgsql stable
set search_path = pg_catalog
set timezone = 'UTC'
set plan_cache_mode = force_custom_plan
set enable_nestloop = off
set max_parallel_workers_per_gather = 0
set jit = off
set work_mem = '64MB'
as $$
#variable_conflict use_column
declare
  v_consumer log.consumer;
  -- patterns of text in which the key of a dimension occurs; null where there are none
  v_keys text[];
begin
  perform set_config('app.tenant_id', p_tenant_id::text, true);
  select * into v_consumer from log.consumer where consumer.tenant_id = p_tenant_id and consumer.name = 'reports';
  select array_agg(format('%%%s%%', regexp_replace(dimension.key, '([\\%_])', '\\\1', 'g'))) into v_keys
  from projection.report_dimension dimension
  where dimension.tenant_id = p_tenant_id;
  return query
  with recursive said as materialized (
    select told.position, told.transaction_id, told.metadata
    from (
      select event.position, event.subject_id as transaction_id,
        case when event.data::text like any (v_keys) then (event.data ->> 'metadata')::jsonb end as metadata
      from log.event
      where v_keys is not null and event.tenant_id = p_tenant_id and event.position <= v_consumer.position
        and event.type in ('ledger.transaction_posted', 'ledger.transaction_held')
      -- keeps the planner from parsing it again wherever it is asked for
      offset 0
    ) told
    where told.metadata is not null
      or told.transaction_id in (select link.by_transaction_id from ledger.transaction_link link where link.tenant_id = p_tenant_id)
  ),
  looked as (
    select said.transaction_id, dimension.key as dimension, said.transaction_id as source_id, dimension.after_position
    from said
    join projection.report_dimension dimension on dimension.tenant_id = p_tenant_id and dimension.after_position < said.position
    union all
    select looked.transaction_id, looked.dimension, link.transaction_id, looked.after_position
    from looked
    join said on said.transaction_id = looked.source_id and (said.metadata ? looked.dimension) is not true
    join ledger.transaction_link link on link.tenant_id = p_tenant_id and link.by_transaction_id = looked.source_id
  ),
  tagged as materialized (
    select looked.transaction_id, looked.dimension, said.metadata ->> looked.dimension as value
    from looked
    join said on said.transaction_id = looked.source_id and said.position > looked.after_position and said.metadata ? looked.dimension
  ),
  counted as (
    select '' as dimension, entry.effective_at::date as effective_on, '' as value, account.type as account_type, account.currency,
      array[
        coalesce(sum(entry.amount) filter (where entry.direction = 'debit'), 0), coalesce(sum(entry.amount) filter (where entry.direction = 'credit'), 0),
        count(*), max(account.scale)
      ] as sums
    from ledger.entry
    join ledger.account on account.tenant_id = p_tenant_id and account.id = entry.account_id
    where entry.tenant_id = p_tenant_id and entry.position <= v_consumer.position and entry.layer = 'posted'
    group by entry.effective_at::date, account.type, account.currency
    union all
    select tagged.dimension, entry.effective_at::date, tagged.value, account.type, account.currency,
      array[
        coalesce(sum(entry.amount) filter (where entry.direction = 'debit'), 0), coalesce(sum(entry.amount) filter (where entry.direction = 'credit'), 0),
        count(*), max(account.scale)
      ]
    from tagged
    join said on said.transaction_id = tagged.transaction_id
    join ledger.entry on entry.tenant_id = p_tenant_id and entry.position = said.position and entry.layer = 'posted'
    join ledger.account on account.tenant_id = p_tenant_id and account.id = entry.account_id
    group by tagged.dimension, entry.effective_at::date, tagged.value, account.type, account.currency
  ),
  stored as (
    select report.dimension, report.effective_on, report.value, report.account_type, report.currency,
      array[report.debits, report.credits, report.entry_count, report.scale] as sums
    from projection.reports_v report
    where report.tenant_id = p_tenant_id and report.version = v_consumer.version
  )
  select
    format('reports_v %s %s=%s %s %s', effective_on, dimension, value, account_type, currency), counted.sums::text, stored.sums::text
  from counted
  full join stored using (dimension, effective_on, value, account_type, currency)
  where counted.sums is distinct from stored.sums
  union all
  select
    format('report_transactions_v %s %s', transaction_id, dimension), tagged.value, stored.value
  from tagged
  full join (
    select report.transaction_id, report.dimension, report.value
    from projection.report_transactions_v report
    where report.tenant_id = p_tenant_id and report.version = v_consumer.version
  ) stored using (transaction_id, dimension)
  where tagged.value is distinct from stored.value;
end;
$$;
