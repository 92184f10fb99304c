-- name: webhook_deliveries_prune
select deleted, last_id
from webhooks.prune_deliveries($tenant_id, $before, $after, $row_limit);
