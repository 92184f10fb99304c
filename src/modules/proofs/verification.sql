-- name: sealing_find
-- How far the log goes and how far it is sealed, and up to 20 positions that no log has: of events and entries at or before 0, and of
-- entries after the head.
with head as (
  select coalesce(max(event.position), 0) as position from log.event where event.tenant_id = $tenant_id
)
select
  (select head.position from head) as head_position,
  coalesce(
    (select consumer.position from log.consumer where consumer.tenant_id = $tenant_id and consumer.name = 'blocks'), 0
  ) as sealed_position,
  array(
    (select event.position from log.event where event.tenant_id = $tenant_id and event.position <= 0 limit 20)
    union
    (select entry.position from ledger.entry where entry.tenant_id = $tenant_id and entry.position <= 0 limit 20)
    union
    (
      select entry.position
      from ledger.entry
      where entry.tenant_id = $tenant_id and entry.position > (select head.position from head)
      order by entry.position
      limit 20
    )
    order by 1
    limit 20
  ) as stray_positions;

-- name: block_page
select tenant_id, number, first_position, last_position, root, previous_hash, closed_at, key_id, hash, signature, leaves
from proofs.block
where tenant_id = $tenant_id and number > $after_number
  and (last_position <= $after_position::bigint + $page_positions::bigint or number = $after_number::bigint + 1)
order by number
limit $row_limit;
