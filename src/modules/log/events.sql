-- name: event_append
select position, recorded_at
from log.append_event(
  $tenant_id, $id, $type, $subject_id, $data, $actor_id, $request_id, $occurred_at
);

-- name: event_list
select position, id, type, subject_id, data, actor_id, request_id, occurred_at, recorded_at
from log.list_events($tenant_id, $after, $up_to, null, $row_limit, $types, null, $max_bytes);

-- name: event_list_at
select position, id, type, subject_id, data, actor_id, request_id, occurred_at, recorded_at
from log.event
where tenant_id = $tenant_id
  and position = any($positions::bigint[])
  and ($types::text[] is null or type = any($types::text[]))
order by position;

-- name: event_head
select position
from log.head($tenant_id);

-- name: event_position_list
select position
from log.event
where tenant_id = $tenant_id and subject_id = $subject_id and position > $after
order by position
limit $row_limit;
