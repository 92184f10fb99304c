-- name: balance_find
select *
from ledger.find_balance(
  $tenant_id, $account_id::uuid, $code::text, $known_position::bigint, $known_at::timestamptz, $as_of::timestamptz
);
