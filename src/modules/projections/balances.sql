-- name: balances_apply
select state, position, head_position, retry_ms
from projection.apply_balances($tenant_id, $limit);
