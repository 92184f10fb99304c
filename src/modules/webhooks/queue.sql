-- name: webhook_deliveries_queue
select state, position, head_position, retry_ms
from webhooks.queue_deliveries($tenant_id, $consumer, $limit);

-- name: webhook_quiet_pass_over
select tenant_id, position, is_wanted
from webhooks.pass_over($tenant_ids);

-- name: webhook_due_list
select tenant_id, due_in_ms
from webhooks.list_due($tenant_ids);

-- name: webhook_deliveries_claim
select id, endpoint_id, position, recorded_at, attempts, created_at
from webhooks.claim_deliveries($tenant_id, $caller, $lease_ms, $endpoint_ids, $rooms, $other_room, $row_limit);

-- name: webhook_events_find
select position, id, type, subject_id, data, actor_id, request_id, occurred_at, recorded_at
from webhooks.find_events($tenant_id, $positions, $recorded_ats);

-- name: webhook_leases_renew
select webhooks.renew_leases($tenant_ids, $ids, $endpoint_ids, $caller, $lease_ms)::text as renewed;

-- name: webhook_attempts_record
select endpoint_id
from webhooks.record_attempts(
  $tenant_id, $caller, $ids, $numbers, $statuses, $due_ats, $started_ats, $durations_ms, $status_codes, $faults, $details,
  $answers, $released, $endpoint_ids, $failing, $resting_untils, $idle, $failing_before
);
