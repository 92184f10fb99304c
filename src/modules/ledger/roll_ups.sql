-- name: roll_up_allow_time
select set_config('statement_timeout', '10min', true);

-- name: roll_up_list
select *
from ledger.roll_up_balances(
  $tenant_id, coalesce($code_prefix, ''), $group_by, $after_name::text, $after_currency::text, $row_limit,
  $known_position::bigint, $known_at::timestamptz, $as_of::timestamptz
);
