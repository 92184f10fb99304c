-- name: balances_apply
select state from projection.apply_entries($tenant_id, 'balances', null, null, null, $limit);

-- name: balances_read
select string_agg(concat_ws(' ', balance.account_id, posted_debits, posted_credits, pending_debits, pending_credits), ', ' order by account_id) as sums
from ledger.limited_balances($tenant_id, $account_ids::uuid[], $now) balance
where balance.account_id = any ($own_ids::uuid[]);

-- name: current_read
select string_agg(concat_ws(' ', balance.account_id, posted_debits, posted_credits, pending_debits, pending_credits), ', ' order by account_id) as sums
from ledger.find_current_balances($tenant_id, '', chr(127), $now) balance;

-- name: past_read
select string_agg(concat_ws(' ', question.number, balance.posted_debits, balance.posted_credits, balance.pending_debits, balance.pending_credits), ', ' order by question.number) as sums
from jsonb_to_recordset($questions::jsonb) as question(number integer, account_id uuid, position bigint, known_at timestamptz, as_of timestamptz)
cross join lateral ledger.balance_at($tenant_id, question.account_id, question.position, question.known_at, question.as_of) balance;

-- name: posted_read
select string_agg(concat_ws(' ', question.number, balance.posted_debits, balance.posted_credits), ', ' order by question.number) as sums
from jsonb_to_recordset($questions::jsonb) as question(number integer, account_id uuid, position bigint, known_at timestamptz, as_of timestamptz)
cross join lateral ledger.posted_at($tenant_id, question.position, question.known_at, question.as_of) balance
where balance.account_id = question.account_id;
