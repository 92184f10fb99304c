-- name: balances_apply
select state, position, head_position, retry_ms
from projection.apply_entries($tenant_id, $consumer, null, null, null, $limit);

-- name: balances_apply_along
select state, position, head_position, retry_ms, along
from projection.apply_entries($tenant_id, $consumer, 'balances_daily', 'reports', 'invoices', $limit);

-- name: balances_recount
select concat_ws(' ', difference."check", difference.account_id, difference.what) as what, difference.expected, difference.found
from ledger.prove($tenant_id) proof
cross join lateral json_to_recordset(proof.differences)
  as difference("check" text, account_id uuid, what text, expected text, found text);

-- name: balances_state
select coalesce(json_agg(json_build_object(
  'account_code', account_code, 'type', type, 'currency', currency, 'scale', scale,
  'posted_debits', posted_debits::text, 'posted_credits', posted_credits::text,
  'pending_debits', pending_debits::text, 'pending_credits', pending_credits::text
)), '[]')::text as data
from projection.list_moved_balances($tenant_id, $version);
