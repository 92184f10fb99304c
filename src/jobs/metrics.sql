-- name: queue_state
select job, waiting, due, running, oldest_due_seconds, dead_letters
from jobs.queue_state();
