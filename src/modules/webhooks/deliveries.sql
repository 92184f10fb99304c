-- name: webhook_delivery_find
select delivery.id, delivery.endpoint_id, delivery.event_id, delivery.position, delivery.type, delivery.origin,
  delivery.status, delivery.attempts, delivery.created_at, delivery.finished_at,
  case when delivery.status = 'pending' then greatest(delivery.due_at, endpoint.resting_until) end as next_attempt_at,
  last.number, last.started_at, last.duration_ms, last.status_code, last.fault, last.detail, last.answer
from webhooks.delivery
join webhooks.endpoint on endpoint.tenant_id = delivery.tenant_id and endpoint.id = delivery.endpoint_id
left join webhooks.attempt last
  on last.tenant_id = delivery.tenant_id and last.delivery_id = delivery.id and last.number = delivery.attempts
where delivery.tenant_id = $tenant_id and delivery.id = $id;

-- name: webhook_delivery_list
select delivery.id, delivery.endpoint_id, delivery.event_id, delivery.position, delivery.type, delivery.origin,
  delivery.status, delivery.attempts, delivery.created_at, delivery.finished_at,
  case when delivery.status = 'pending' then greatest(delivery.due_at, endpoint.resting_until) end as next_attempt_at,
  last.number, last.started_at, last.duration_ms, last.status_code, last.fault, last.detail, last.answer
from webhooks.delivery
join webhooks.endpoint on endpoint.tenant_id = delivery.tenant_id and endpoint.id = delivery.endpoint_id
left join webhooks.attempt last
  on last.tenant_id = delivery.tenant_id and last.delivery_id = delivery.id and last.number = delivery.attempts
where delivery.tenant_id = $tenant_id and delivery.endpoint_id = $endpoint_id
  and ($after::uuid is null or delivery.id < $after)
  and ($status::text is null or delivery.status = $status)
order by delivery.id desc
limit $row_limit;

-- name: webhook_attempt_list
select number, started_at, duration_ms, status_code, fault, detail, answer
from webhooks.attempt
where tenant_id = $tenant_id and delivery_id = $delivery_id
order by number;

-- name: webhook_delivery_repeat
insert into webhooks.delivery (
  tenant_id, id, endpoint_id, position, recorded_at, event_id, type, origin, status, attempts, due_at, created_at
)
select tenant_id, $new_id, endpoint_id, position, recorded_at, event_id, type, 'redelivery', 'pending', 0, now(), now()
from webhooks.delivery
where tenant_id = $tenant_id and id = $id;

-- name: webhook_range_replay
select count
from webhooks.replay_range($tenant_id, $endpoint_id, $after_position, $up_to) as replayed(count);
