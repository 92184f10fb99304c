-- Part of projection.apply_entries and projection.apply_invoices: what a slice of the log does to invoices. A transaction names an invoice in its
-- metadata (`invoice`, and beside it `customer` and `due_on`); a capture or reversal that names none has that of its target. What it debits to
-- receivables is raised, what it credits is paid; the reversal of a transaction of the same invoice takes back what that one did. Holds do not count.
-- Data is parsed only where `invoice` occurs in it.
create or replace function projection.add_invoices(
  p_tenant_id uuid, p_version integer, p_start bigint, p_start_at timestamptz, p_end bigint, p_end_at timestamptz
)
returns void
language plpgsql volatile
set search_path = pg_catalog
set timezone = 'UTC'
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_sort = on
set enable_nestloop = on
set jit = off
as $$
begin
  -- What names an invoice has metadata. A tenant without any is known by one look, and not by all that it has recorded.
  if not exists (
    select
    from ledger.metadata_pair pair
    where pair.tenant_id = p_tenant_id
  ) then
    return;
  end if;

  -- Most others have no invoices, and most slices of those who do none either.
  if not exists (
    select
    from log.event
    where event.tenant_id = p_tenant_id
      and event.position > p_start and event.position <= p_end
      and event.recorded_at >= p_start_at and event.recorded_at <= p_end_at
      and strpos(event.data::text, '"invoice":') > 0
  ) and not exists (
    select
    from ledger.transaction_link link
    where link.tenant_id = p_tenant_id
      and link.position > p_start and link.position <= p_end
  ) then
    return;
  end if;

  with recursive own as materialized (
    select event.position, event.subject_id as transaction_id, told.invoice,
      nullif(told.customer, '') as customer, projection.maybe_date(told.due_on) as due_on
    from log.event
    cross join lateral json_to_record(event.data -> 'metadata') as told(invoice text, customer text, due_on text)
    where event.tenant_id = p_tenant_id
      and event.position > p_start and event.position <= p_end
      and event.recorded_at >= p_start_at and event.recorded_at <= p_end_at
      and event.type in ('ledger.transaction_posted', 'ledger.transaction_held')
      and strpos(event.data::text, '"invoice":') > 0
      and told.invoice <> ''
  ),
  link as materialized (
    select link.position, link.by_transaction_id as transaction_id, link.transaction_id as target_id, link.kind = 'reversal' as reverses
    from ledger.transaction_link link
    where link.tenant_id = p_tenant_id
      and link.position > p_start and link.position <= p_end
      and link.kind in ('capture', 'reversal')
  ),
  -- what may concern an invoice: it names one, or its target does
  node as materialized (
    select
      coalesce(own.position, link.position) as position, coalesce(own.transaction_id, link.transaction_id) as transaction_id,
      own.invoice, own.customer, own.due_on, link.target_id, coalesce(link.reverses, false) as reverses
    from own
    full join link on link.position = own.position
  ),
  tagged as (
    select
      node.position, node.transaction_id, tag.invoice, tag.customer, tag.due_on, tag.is_reversal
    from node
    left join projection.invoice_transactions_v target
      on target.tenant_id = p_tenant_id and target.version = p_version and target.transaction_id = node.target_id
    cross join lateral projection.tag_invoice(
      node.invoice, node.customer, node.due_on, node.reverses, target.invoice, target.customer, target.due_on, target.is_reversal
    ) tag
    where node.target_id is null or not exists (select from node earlier where earlier.transaction_id = node.target_id)
    union all
    select
      node.position, node.transaction_id, tag.invoice, tag.customer, tag.due_on, tag.is_reversal
    from tagged
    join node on node.target_id = tagged.transaction_id
    cross join lateral projection.tag_invoice(
      node.invoice, node.customer, node.due_on, node.reverses, tagged.invoice, tagged.customer, tagged.due_on, tagged.is_reversal
    ) tag
  ),
  remembered as (
    insert into projection.invoice_transactions_v (tenant_id, version, transaction_id, invoice, customer, due_on, is_reversal)
    select p_tenant_id, p_version, tagged.transaction_id, tagged.invoice, tagged.customer, tagged.due_on, tagged.is_reversal
    from tagged
    where tagged.invoice is not null
  ),
  delta as materialized (
    select
      tagged.invoice, account.currency, entry.effective_at::date as effective_on, account.scale,
      tagged.customer, tagged.due_on, tagged.position,
      case when tagged.is_reversal then (case entry.direction when 'credit' then -entry.amount else 0 end)
        when entry.direction = 'debit' then entry.amount else 0 end as raised,
      case when tagged.is_reversal then (case entry.direction when 'debit' then -entry.amount else 0 end)
        when entry.direction = 'credit' then entry.amount else 0 end as paid
    from tagged
    join ledger.entry on entry.tenant_id = p_tenant_id and entry.position = tagged.position
      and entry.recorded_at >= p_start_at and entry.recorded_at <= p_end_at
      and entry.layer = 'posted'
    cross join lateral (
      select account.type, account.code, account.currency, account.scale
      from ledger.account
      where account.tenant_id = p_tenant_id and account.id = entry.account_id
      -- keeps the planner from reading all of the tenant's accounts
      offset 0
    ) account
    where tagged.invoice is not null and projection.is_receivable(account.type, account.code)
  ),
  by_day as (
    insert into projection.invoice_days_v as days (tenant_id, version, invoice, currency, effective_on, raised, paid)
    select p_tenant_id, p_version, delta.invoice, delta.currency, delta.effective_on, sum(delta.raised), sum(delta.paid)
    from delta
    group by delta.invoice, delta.currency, delta.effective_on
    on conflict on constraint invoice_days_v_pkey do update
    set raised = days.raised + excluded.raised, paid = days.paid + excluded.paid
  )
  insert into projection.invoices_v as invoices (
    tenant_id, version, invoice, currency, scale, customer, customer_position, due_on, due_position, raised, paid, first_on, last_position
  )
  select
    p_tenant_id, p_version, delta.invoice, delta.currency, max(delta.scale),
    (array_agg(delta.customer order by delta.position desc) filter (where delta.customer is not null))[1],
    max(delta.position) filter (where delta.customer is not null),
    (array_agg(delta.due_on order by delta.position desc) filter (where delta.due_on is not null))[1],
    max(delta.position) filter (where delta.due_on is not null),
    sum(delta.raised), sum(delta.paid), min(delta.effective_on), max(delta.position)
  from delta
  group by delta.invoice, delta.currency
  on conflict on constraint invoices_v_pkey do update
  set
    customer = coalesce(excluded.customer, invoices.customer),
    customer_position = coalesce(excluded.customer_position, invoices.customer_position),
    due_on = coalesce(excluded.due_on, invoices.due_on),
    due_position = coalesce(excluded.due_position, invoices.due_position),
    raised = invoices.raised + excluded.raised,
    paid = invoices.paid + excluded.paid,
    first_on = least(invoices.first_on, excluded.first_on),
    last_position = excluded.last_position;
end;
$$;
