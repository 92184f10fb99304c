-- name: roll_up_list
select *
from ledger.roll_up_balances($tenant_id, coalesce($code_prefix, ''), $group_by, $after_name::text, $after_currency::text, $row_limit);
