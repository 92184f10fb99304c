-- name: webhook_endpoint_insert
insert into webhooks.endpoint (
  tenant_id, id, url, description, types, ordering, format, from_position, status, created_at, updated_at
)
values (
  $tenant_id, $id, $url, $description, $types, $ordering, $format, 9007199254740991, 'enabled', now(), now()
);

-- name: webhook_endpoint_begin
update webhooks.endpoint
set from_position = $position
where tenant_id = $tenant_id and id = $id;

-- name: webhook_endpoint_find
select id, url, description, types, ordering, format, status, disabled_at, disabled_reason, disabled_position,
  failing_since, created_at, updated_at
from webhooks.endpoint
where tenant_id = $tenant_id and id = $id;

-- name: webhook_endpoint_lock
select id
from webhooks.endpoint
where tenant_id = $tenant_id and id = $id
for update;

-- name: webhook_endpoint_list
select id, url, description, types, ordering, format, status, disabled_at, disabled_reason, disabled_position,
  failing_since, created_at, updated_at
from webhooks.endpoint
where tenant_id = $tenant_id
  and ($after::uuid is null or id > $after)
  and ($status::text is null or status = $status)
order by id
limit $row_limit;

-- name: webhook_endpoint_count
select count(*)::integer as count
from webhooks.endpoint
where tenant_id = $tenant_id and status = 'enabled';

-- name: webhook_endpoint_list_called
select id, url, ordering, format
from webhooks.endpoint
where tenant_id = $tenant_id and id = any ($ids::uuid[]) and status = 'enabled';

-- name: webhook_endpoint_update
update webhooks.endpoint
set url = $url, description = $description, types = $types, ordering = $ordering, format = $format, updated_at = now()
where tenant_id = $tenant_id and id = $id;

-- name: webhook_endpoint_disable
update webhooks.endpoint
set status = 'disabled', disabled_at = now(), disabled_reason = $reason,
  disabled_position = greatest(from_position, $queued_position), updated_at = now()
where tenant_id = $tenant_id and id = $id;

-- name: webhook_endpoint_enable
update webhooks.endpoint
set status = 'enabled', disabled_at = null, disabled_reason = null, failing_since = null, resting_until = null,
  updated_at = now()
where tenant_id = $tenant_id and id = $id;

-- name: webhook_endpoint_enabled_at
update webhooks.endpoint
set from_position = $position
where tenant_id = $tenant_id and id = $id;
