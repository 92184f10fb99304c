-- name: position_list
select consumer.name, consumer.position, statement_timestamp() as at
from log.consumer
where consumer.tenant_id = $tenant_id;

-- name: instant_list
-- When the events at these positions were recorded, and the last one of the log.
select event.position, event.recorded_at
from log.event
where event.tenant_id = $tenant_id
  and (
    event.position = any($positions::bigint[])
    or event.position = (select max(head.position) from log.event head where head.tenant_id = $tenant_id)
  )
order by event.position;
