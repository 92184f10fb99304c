-- name: balances_apply
select position, head_position
from projection.apply_balances($tenant_id, $limit);
