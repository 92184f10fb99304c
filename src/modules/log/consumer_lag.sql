-- name: consumer_list_lags
select tenant_id, name, lag_events, lag_seconds, is_parked
from log.list_lags($tenant_ids, $consumers);
