-- name: balances_daily_apply
select state, position, head_position, retry_ms
from projection.apply_entries($tenant_id, null, $consumer, null, null, $limit);

-- name: balances_daily_recount
select what, expected, found
from projection.differing_balances_daily($tenant_id)
limit 1000;

-- name: balance_daily_list
select account_id, code, type, currency, scale, posted_debits, posted_credits, pending_debits, pending_credits
from projection.list_balances_daily(
  $tenant_id, $version, $as_of::date, $known_on::date, $account::text, coalesce($code_prefix, ''), $currency::text, coalesce($after_code, ''), $row_limit
);
