-- name: hold_due_tenants
select tenant_id
from ledger.list_tenants_with_due_holds($tenant_ids);

-- name: hold_list_due
select transaction_id, expires_at
from ledger.list_due_holds($tenant_id, $after_expires_at, $after_id, $row_limit);
