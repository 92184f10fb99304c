-- Recounts invoices from entries and events up to the position that the projection has reached. Answers what differs.
-- Each transaction is followed down through what it captures or reverses to the one that was there first; the sums are taken from there up.
-- Data is parsed only where `invoice` occurs in it, and what neither names an invoice nor is linked is left out at once.
create or replace function projection.differing_invoices(p_tenant_id uuid)
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
begin
  perform set_config('app.tenant_id', p_tenant_id::text, true);
  select * into v_consumer from log.consumer where consumer.tenant_id = p_tenant_id and consumer.name = 'invoices';
  return query
  with recursive told as materialized (
    select named.position, named.transaction_id, nullif(named.metadata ->> 'invoice', '') as invoice,
      nullif(named.metadata ->> 'customer', '') as customer, named.metadata ->> 'due_on' as due_on, link.transaction_id as target_id, link.kind
    from (
      select event.position, event.subject_id as transaction_id,
        case when strpos(event.data::text, 'invoice') > 0 then (event.data ->> 'metadata')::jsonb end as metadata
      from log.event
      where event.tenant_id = p_tenant_id and event.position <= v_consumer.position
        and event.type in ('ledger.transaction_posted', 'ledger.transaction_held')
      -- keeps the planner from parsing it again wherever it is asked for
      offset 0
    ) named
    left join ledger.transaction_link link on link.tenant_id = p_tenant_id and link.by_transaction_id = named.transaction_id
    where named.metadata is not null or link.transaction_id is not null
      or named.transaction_id in (select target.transaction_id from ledger.transaction_link target where target.tenant_id = p_tenant_id)
  ),
  -- each text is read once, however many transactions it is in
  due as materialized (
    select stated.due_on as text, projection.maybe_date(stated.due_on) as due_on
    from (select distinct told.due_on from told where told.due_on is not null) stated
  ),
  said as materialized (
    select told.position, told.transaction_id, told.invoice, told.customer, due.due_on, told.target_id, told.kind
    from told
    left join due on due.text = told.due_on
  ),
  -- from the first of each chain up: how often it has been turned round since the invoice was last named anew
  chain as (
    select said.position, said.transaction_id, said.invoice, said.customer, said.due_on, 0 as reversals
    from said
    where said.target_id is null
    union all
    select said.position, said.transaction_id, coalesce(said.invoice, chain.invoice),
      case when said.invoice is null and said.kind = 'capture' then chain.customer when said.invoice is not null then said.customer end,
      case when said.invoice is null and said.kind = 'capture' then chain.due_on when said.invoice is not null then said.due_on end,
      case when said.invoice is null or said.invoice = chain.invoice then chain.reversals + (said.kind = 'reversal')::integer else 0 end
    from chain
    join said on said.target_id = chain.transaction_id
  ),
  item as materialized (
    select chain.invoice, account.currency, account.scale, chain.position, chain.customer, chain.due_on, entry.effective_at::date as effective_on,
      chain.reversals % 2 = 1 as is_reversal, entry.direction = 'debit' as is_debit, entry.amount
    from chain
    join ledger.entry on entry.tenant_id = p_tenant_id and entry.position = chain.position and entry.layer = 'posted'
    join ledger.account on account.tenant_id = p_tenant_id and account.id = entry.account_id
    where chain.invoice is not null and account.type = 'asset' and string_to_array(account.code, ':') && array['receivables', 'loans']
      and right(account.code, 10) <> ':allowance'
  ),
  counted as (
    select item.invoice, item.currency, item.effective_on,
      sum(case when item.is_debit <> item.is_reversal then case when item.is_reversal then -item.amount else item.amount end else 0 end) as raised,
      sum(case when item.is_debit = item.is_reversal then case when item.is_reversal then -item.amount else item.amount end else 0 end) as paid
    from item
    group by grouping sets ((item.invoice, item.currency), (item.invoice, item.currency, item.effective_on))
  ),
  stated as (
    select item.invoice, item.currency,
      concat_ws(' ', max(item.scale), min(item.effective_on), max(item.position),
        coalesce((array_agg(item.customer order by item.position desc) filter (where item.customer is not null))[1], '-'),
        coalesce(max(item.position) filter (where item.customer is not null), 0),
        coalesce((array_agg(item.due_on order by item.position desc) filter (where item.due_on is not null))[1]::text, '-'),
        coalesce(max(item.position) filter (where item.due_on is not null), 0)) as text
    from item
    group by item.invoice, item.currency
  ),
  expected as (
    select counted.invoice, counted.currency, coalesce(counted.effective_on::text, '') as effective_on,
      concat_ws(' ', counted.raised, counted.paid, stated.text) as sums
    from counted
    left join stated on stated.invoice = counted.invoice and stated.currency = counted.currency and counted.effective_on is null
  ),
  stored as (
    select invoices.invoice, invoices.currency, '' as effective_on,
      concat_ws(' ', invoices.raised, invoices.paid, invoices.scale, invoices.first_on, invoices.last_position,
        coalesce(invoices.customer, '-'), coalesce(invoices.customer_position, 0),
        coalesce(invoices.due_on::text, '-'), coalesce(invoices.due_position, 0)) as sums
    from projection.invoices_v invoices
    where invoices.tenant_id = p_tenant_id and invoices.version = v_consumer.version
    union all
    select days.invoice, days.currency, days.effective_on::text, concat_ws(' ', days.raised, days.paid)
    from projection.invoice_days_v days
    where days.tenant_id = p_tenant_id and days.version = v_consumer.version
  )
  select
    concat_ws(' ', case when effective_on = '' then 'invoices_v' else 'invoice_days_v' end, invoice, currency, nullif(effective_on, '')),
    expected.sums, stored.sums
  from expected
  full join stored using (invoice, currency, effective_on)
  where expected.sums is distinct from stored.sums
  union all
  select
    format('invoice_transactions_v %s', transaction_id), expected.tag, stored.tag
  from (
    select chain.transaction_id,
      concat_ws(' ', chain.invoice, coalesce(chain.customer, '-'), coalesce(chain.due_on::text, '-'), chain.reversals % 2 = 1) as tag
    from chain
    where chain.invoice is not null
  ) expected
  full join (
    select tagged.transaction_id,
      concat_ws(' ', tagged.invoice, coalesce(tagged.customer, '-'), coalesce(tagged.due_on::text, '-'), tagged.is_reversal) as tag
    from projection.invoice_transactions_v tagged
    where tagged.tenant_id = p_tenant_id and tagged.version = v_consumer.version
  ) stored using (transaction_id)
  where expected.tag is distinct from stored.tag;
end;
$$;
