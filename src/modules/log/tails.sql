-- name: tail_list
select position, id, type, subject_id, data, actor_id, request_id, occurred_at, recorded_at
from log.list_events($tenant_id, $after, $up_to, $since, $row_limit, null, null, $max_bytes);

-- name: tail_bounds
select first_position, head_position
from log.find_bounds($tenant_id);

-- name: tail_list_heads
select tenant_id, head_position
from log.list_heads($tenant_ids);
