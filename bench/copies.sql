-- name: originals_find
select min(event.position) as first_position, max(event.position) as last_position
from log.event
where event.tenant_id = $tenant_id and event.type = 'ledger.transaction_posted';

-- name: originals_lock
-- A copy takes seconds, more beside other work.
select set_config('statement_timeout', '0', true), log.lock_tenant($tenant_id);

-- name: originals_copy
-- The postings of a range once more behind the log's end, each with a subject and a key of its own: the rows that posting them would write.
with head as materialized (
  select head.position - $first_position::bigint + 1 as shift, greatest(clock_timestamp(), head.recorded_at) as at
  from log.head($tenant_id) head
),
keys as (
  insert into log.idempotency_key (tenant_id, key_hash, request_hash, status, position)
  select $tenant_id, gen_random_uuid(), gen_random_uuid(), 201, event.position + head.shift
  from log.event cross join head
  where event.tenant_id = $tenant_id and event.position between $first_position and $last_position
),
entries as (
  insert into ledger.entry (
    tenant_id, position, ordinal, account_id, layer, direction, amount, effective_at, recorded_at, expires_at
  )
  select $tenant_id, entry.position + head.shift, entry.ordinal, entry.account_id, entry.layer, entry.direction, entry.amount, head.at, head.at,
    entry.expires_at
  from ledger.entry cross join head
  where entry.tenant_id = $tenant_id and entry.position between $first_position and $last_position
)
insert into log.event (tenant_id, position, id, type, subject_id, data, actor_id, request_id, occurred_at, recorded_at)
select $tenant_id, event.position + head.shift, uuidv7(), event.type, uuidv7(), event.data, event.actor_id, event.request_id, head.at, head.at
from log.event cross join head
where event.tenant_id = $tenant_id and event.position between $first_position and $last_position
order by event.position;

-- name: consumers_behind
-- How many consumers of the tenant have not come to the log's end.
select count(*) as behind
from log.consumer
where consumer.tenant_id = $tenant_id and consumer.position < (select head.position from log.head($tenant_id) head);
