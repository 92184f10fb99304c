-- name: balance_list
select account_id, code, type, currency, scale, posted_debits, posted_credits, pending_debits, pending_credits, head_position
from ledger.list_balances($tenant_id, $account_ids);
