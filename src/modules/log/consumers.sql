-- name: slice_begin
select state, after_position, after_at::text as after_at, up_to_position, up_to_at::text as up_to_at, head_position, retry_ms
from log.begin_slice($tenant_id, $consumer, $limit);

-- name: slice_end
select log.end_slice($tenant_id, array[$consumer], $position, $recorded_at);

-- name: slice_fail
select position, attempts, retry_ms, parked_at, is_new
from log.fail_slice($tenant_id, $consumer, $failed_at, $reason, $max_attempts, $first_retry_ms, $max_retry_ms, $jitter);

-- name: consumer_list
select name, position, head_position, behind_since, moved_at, attempts, next_attempt_at, parked_at, reason, read_at
from log.list_consumers($tenant_id);

-- name: consumer_list_lagging
select tenant_id, name, position, head_position, is_parked
from log.list_lagging($tenant_ids, $consumers);

-- name: consumer_position
select coalesce(max(position), 0) as position
from log.consumer
where tenant_id = $tenant_id and name = $consumer;

-- name: consumer_resume
update log.consumer
set attempts = 0, next_attempt_at = null, parked_at = null, reason = null
where tenant_id = $tenant_id and name = $consumer and parked_at is not null
  and ($parked_at::timestamptz is null or parked_at = $parked_at);
