-- name: receipt_find
select
  position, id, type, subject_id, data, actor_id, request_id, occurred_at, recorded_at, entries, number, first_position, last_position,
  root, previous_hash, closed_at, key_id, hash, signature, leaves
from proofs.find_receipt($tenant_id, $transaction_id, $recorded_from, $recorded_to);
