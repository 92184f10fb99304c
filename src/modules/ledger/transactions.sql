-- name: transaction_list_by_id
select id, position, type, data, effective_at, recorded_at, links, lines, observed_at
from ledger.find_transactions($tenant_id, $ids, $recorded_from, $recorded_to);

-- name: answer_list
select key_hash, request_hash, status, body, subject_id, position, data, effective_at, recorded_at
from log.find_answers($tenant_id, $key_hashes);

-- name: transaction_list
select id, position
from ledger.list_transactions(
  $tenant_id, $limit, $before_position, $reference_hash, $pair_hashes, $account_id, $account_prefix, $status, $effective_from,
  $effective_to, $recorded_from, $recorded_to, $amount_min, $amount_max
);

-- name: transaction_recorded_at_position
select subject_id as id, position, data, effective_at, recorded_at
from log.find_event($tenant_id, $position);

-- name: clock_read
select clock_timestamp() as now;
