-- name: job_add
select added.id
from graphile_worker.add_job(
  $name, $payload::json, run_at => $run_at::timestamptz, max_attempts => $max_attempts::integer, job_key => $job_key,
  job_key_mode => $job_key_mode
) added;
