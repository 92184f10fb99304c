-- name: event_append
select position, recorded_at
from log.append_event(
  $tenant_id, $id, $type, $subject_id, $data, $actor_id, $request_id, $occurred_at
);
