-- name: event_page_list
select position, id, type, subject_id, data, actor_id, request_id, occurred_at, recorded_at
from log.list_events($tenant_id, $after, $up_to, $since, $row_limit, $types, $subject_id, $max_bytes);
