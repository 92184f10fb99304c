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
