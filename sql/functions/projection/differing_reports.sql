-- Recounts daily activity from entries and events up to the position that the projection has reached. Answers what differs.
-- A value is looked for from each transaction down: its own, else that of what it captures or reverses.
create or replace function projection.differing_reports(p_tenant_id uuid)
returns table (what text, expected text, found text)
language plpgsql stable
set search_path = pg_catalog
set timezone = 'UTC'
set plan_cache_mode = force_custom_plan
set enable_nestloop = off
as $$
#variable_conflict use_column
declare
  v_consumer log.consumer;
begin
  perform set_config('app.tenant_id', p_tenant_id::text, true);
  select * into v_consumer from log.consumer where consumer.tenant_id = p_tenant_id and consumer.name = 'reports';
  return query
  with recursive said as materialized (
    select event.position, event.subject_id as transaction_id, (event.data ->> 'metadata')::jsonb as metadata
    from log.event
    where event.tenant_id = p_tenant_id and event.position <= v_consumer.position
      and event.type in ('ledger.transaction_posted', 'ledger.transaction_held')
  ),
  looked as (
    select said.transaction_id, dimension.key as dimension, said.transaction_id as source_id, dimension.after_position
    from said
    join projection.report_dimension dimension on dimension.tenant_id = p_tenant_id and dimension.after_position < said.position
    union all
    select looked.transaction_id, looked.dimension, link.transaction_id, looked.after_position
    from looked
    join said on said.transaction_id = looked.source_id and not said.metadata ? looked.dimension
    join ledger.transaction_link link on link.tenant_id = p_tenant_id and link.by_transaction_id = looked.source_id
  ),
  tagged as (
    select looked.transaction_id, looked.dimension, said.metadata ->> looked.dimension as value
    from looked
    join said on said.transaction_id = looked.source_id and said.position > looked.after_position and said.metadata ? looked.dimension
    union all
    select said.transaction_id, '', '' from said
  ),
  counted as (
    select tagged.dimension, (entry.effective_at at time zone 'UTC')::date as effective_on, tagged.value, account.type as account_type, account.currency,
      array[
        coalesce(sum(case entry.direction when 'debit' then entry.amount end), 0),
        coalesce(sum(case entry.direction when 'credit' then entry.amount end), 0),
        count(*)
      ] as sums
    from tagged
    join said on said.transaction_id = tagged.transaction_id
    join ledger.entry on entry.tenant_id = p_tenant_id and entry.position = said.position and entry.layer = 'posted'
    join ledger.account on account.tenant_id = p_tenant_id and account.id = entry.account_id
    group by 1, 2, 3, 4, 5
  ),
  stored as (
    select report.dimension, report.effective_on, report.value, report.account_type, report.currency,
      array[report.debits, report.credits, report.entry_count] as sums
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
  from (select * from tagged where tagged.dimension <> '') tagged
  full join (
    select report.transaction_id, report.dimension, report.value
    from projection.report_transactions_v report
    where report.tenant_id = p_tenant_id and report.version = v_consumer.version
  ) stored using (transaction_id, dimension)
  where tagged.value is distinct from stored.value;
end;
$$;
