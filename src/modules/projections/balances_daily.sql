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

-- name: balances_daily_state
select coalesce(json_agg(json_build_object(
  'account_code', account_code, 'effective_on', effective_on, 'recorded_on', recorded_on, 'currency', currency, 'scale', scale,
  'posted_debits', posted_debits::text, 'posted_credits', posted_credits::text,
  'pending_debits', pending_debits::text, 'pending_credits', pending_credits::text
)), '[]')::text as data
from projection.list_moved_days($tenant_id, $version);
