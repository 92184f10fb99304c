-- name: reports_apply
select state, position, head_position, retry_ms
from projection.apply_entries($tenant_id, null, null, $consumer, null, $limit);

-- name: reports_recount
select what, expected, found
from projection.differing_reports($tenant_id)
limit 1000;

-- name: report_list
select effective_on, dimension, value, account_type, currency, scale, debits, credits, entry_count
from projection.reports_v
where tenant_id = $tenant_id and version = $version and dimension = coalesce($dimension, '')
  and effective_on >= coalesce($from::date, '-infinity') and effective_on <= coalesce($as_of::date, 'infinity')
  and ($value::text is null or value = $value)
  and ($account_type::text is null or account_type = $account_type)
  and ($currency::text is null or currency = $currency)
  and ($after_on::date is null
    or (effective_on, value, account_type, currency) > ($after_on::date, $after_value::text, $after_type::text, $after_currency::text))
order by effective_on, value, account_type, currency
limit $row_limit;

-- name: reports_state
select coalesce(json_agg(latest), '[]')::text as data
from (
  select effective_on, account_type, currency, scale, debits::text, credits::text, entry_count
  from projection.reports_v
  where tenant_id = $tenant_id and version = $version and dimension = ''
    and effective_on between (now() at time zone 'UTC')::date - 1 and (now() at time zone 'UTC')::date
  order by effective_on desc, account_type, currency
  limit 200
) latest;
