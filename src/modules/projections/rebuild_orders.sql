-- name: rebuild_order_count
select projection,
  count(*) filter (where state = 'running') as running,
  count(*) filter (where state = 'swapped') as swapped,
  count(*) filter (where state = 'canceled') as canceled,
  count(*) filter (where state = 'failed') as failed,
  sum(positions_done)::bigint as positions_done, sum(positions_to_do)::bigint as positions_to_do,
  coalesce(sum(difference_count), 0)::bigint as difference_count
from projection.list_newest_rebuilds($tenant_ids, $projections, $order_id::uuid)
group by projection;

-- name: rebuild_order_clock
select clock_timestamp() as canceled_at;

-- name: rebuild_order_list_running
select tenant_id, projection, number, version
from projection.list_running_rebuilds($tenant_ids)
where projection = any ($projections::text[]) and started_at <= $canceled_at::timestamptz;
