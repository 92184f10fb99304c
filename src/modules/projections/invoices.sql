-- name: invoices_apply
select state, position, head_position, retry_ms
from projection.apply_invoices($tenant_id, $consumer, $limit);

-- name: invoices_recount
select what, expected, found
from projection.differing_invoices($tenant_id)
limit 1000;

-- name: invoice_list
select invoices.invoice, invoices.currency, invoices.scale, invoices.customer, invoices.due_on, invoices.first_on, sums.raised, sums.paid
from projection.invoices_v invoices
cross join lateral (
  select invoices.raised, invoices.paid
  where $as_of::date is null
  union all
  select sum(days.raised), sum(days.paid)
  from projection.invoice_days_v days
  where days.tenant_id = invoices.tenant_id and days.version = invoices.version
    and days.invoice = invoices.invoice and days.currency = invoices.currency and days.effective_on <= $as_of::date
  having count(*) > 0
) sums
where invoices.tenant_id = $tenant_id and invoices.version = $version
  and ($after_invoice::text is null or (invoices.invoice, invoices.currency) > ($after_invoice, $after_currency::text))
  and ($invoice::text is null or invoices.invoice = $invoice)
  and ($customer::text is null or invoices.customer = $customer)
  and ($currency::text is null or invoices.currency = $currency)
  and case $status::text
    when 'open' then sums.raised > sums.paid
    when 'overdue' then sums.raised > sums.paid and invoices.due_on < $today::date
    when 'paid' then sums.raised = sums.paid
    when 'overpaid' then sums.raised < sums.paid
    else true
  end
order by invoices.invoice, invoices.currency
limit $row_limit;

-- name: invoice_aging_list
select
  coalesce(open.customer, '') as customer_key, open.customer, open.currency, max(open.scale) as scale, count(*) as invoice_count,
  sum(greatest(open.due, 0)) as due,
  coalesce(sum(open.due) filter (where open.due > 0 and open.days_late <= 0), 0) as current,
  coalesce(sum(open.due) filter (where open.due > 0 and open.days_late between 1 and 30), 0) as days_1_30,
  coalesce(sum(open.due) filter (where open.due > 0 and open.days_late between 31 and 60), 0) as days_31_60,
  coalesce(sum(open.due) filter (where open.due > 0 and open.days_late between 61 and 90), 0) as days_61_90,
  coalesce(sum(open.due) filter (where open.due > 0 and open.days_late > 90), 0) as days_over_90,
  sum(greatest(-open.due, 0)) as overpaid
from (
  select invoices.customer, invoices.currency, invoices.scale, invoices.raised - invoices.paid as due,
    coalesce($today::date - invoices.due_on, 0) as days_late
  from projection.invoices_v invoices
  where $as_of::date is null and invoices.tenant_id = $tenant_id and invoices.version = $version and invoices.raised <> invoices.paid
  union all
  select invoices.customer, invoices.currency, invoices.scale, sum(days.raised - days.paid), coalesce($today::date - invoices.due_on, 0)
  from projection.invoices_v invoices
  join projection.invoice_days_v days on days.tenant_id = invoices.tenant_id and days.version = invoices.version
    and days.invoice = invoices.invoice and days.currency = invoices.currency
  where $as_of::date is not null and days.effective_on <= $as_of::date and invoices.tenant_id = $tenant_id and invoices.version = $version
  group by invoices.invoice, invoices.customer, invoices.currency, invoices.scale, invoices.due_on
  having sum(days.raised - days.paid) <> 0
) open
where ($customer::text is null or open.customer = $customer)
  and ($currency::text is null or open.currency = $currency)
  and ($after_customer::text is null or (coalesce(open.customer, ''), open.currency) > ($after_customer, $after_currency::text))
group by open.customer, open.currency
order by customer_key, open.currency
limit $row_limit;

-- name: invoices_state
select coalesce(json_agg(open order by open.currency), '[]')::text as data
from (
  select invoices.currency, max(invoices.scale) as scale, count(*) as invoice_count,
    sum(greatest(invoices.raised - invoices.paid, 0))::text as due, sum(greatest(invoices.paid - invoices.raised, 0))::text as overpaid
  from projection.invoices_v invoices
  where invoices.tenant_id = $tenant_id and invoices.version = $version and invoices.raised <> invoices.paid
  group by invoices.currency
) open;
