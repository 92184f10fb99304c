-- name: entry_list
select *
from ledger.list_entries(
  $tenant_id, $account_id::uuid, $code::text, $after_position::bigint, $after_ordinal::integer, $descending,
  $effective_from::timestamptz, $effective_to::timestamptz, $recorded_from::timestamptz, $recorded_to::timestamptz, $row_limit
);
