-- name: rebuild_start
select outcome, number, version, from_position
from projection.start_rebuild($tenant_id, $projection, $order_id, $from_kept, $stops_on_difference);

-- name: rebuild_list_running
select tenant_id, projection, number, version
from projection.list_running_rebuilds($tenant_ids);

-- name: projection_state_list
select projection, version, position, kept_version, kept_position, head_position, number, rebuild_version, state, stops_on_difference,
  from_position, to_position, rebuild_position, started_at, ended_at, previous_version, compared_position, difference_count, differences,
  reason
from projection.list_states($tenant_id, $projections);

-- name: rebuild_hold
-- Still running, and until the transaction ends nobody cancels it. What its slices write can be written again, so no commit waits for the disk.
select stops_on_difference, difference_count, current_setting('synchronous_commit') as commits,
  set_config('synchronous_commit', case when $is_derived then 'off' else current_setting('synchronous_commit') end, true) as commits_now,
  set_config('statement_timeout', '1h', true) as time
from projection.rebuild
where tenant_id = $tenant_id and projection = $projection and number = $number and state = 'running'
for update;

-- name: rebuild_differing_rows
select difference_count, differences
from projection.differing_rows($tenant_id, $table, $version, $built_version, $row_limit);

-- name: rebuild_compared
update projection.rebuild
set compared_position = $position, difference_count = $difference_count, differences = $differences::json
where tenant_id = $tenant_id and projection = $projection and number = $number and state = 'running';

-- name: rebuild_positions
select version, position, built_version, built_position, set_config('statement_timeout', '1h', true) as time
from projection.find_positions($tenant_id, $projection);

-- name: rebuild_lock
select version, position, built_version, built_position
from projection.lock_versions($tenant_id, $projection);

-- name: rebuild_wait_for_disk
-- A slice in this transaction may have said that its commit need not wait.
select set_config('synchronous_commit', $commits, true) as commits;

-- name: rebuild_end
select projection.end_rebuild($tenant_id, $projection, $number, $state, $reason) as ended;
