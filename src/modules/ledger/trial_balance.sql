-- name: trial_balance_allow_time
select set_config('statement_timeout', '10min', true);

-- name: trial_balance
select *
from ledger.trial_balance(
  $tenant_id, $known_position::bigint, $known_at::timestamptz, $as_of::timestamptz, $after_code, $row_limit, $with_totals
);
