-- name: worker_beat
select freed, has_due, has_dead
from jobs.beat($worker_id, $dead_after_ms);

-- name: worker_leave
select jobs.leave($worker_id) as "left";
