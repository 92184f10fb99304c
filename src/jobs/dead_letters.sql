-- name: dead_job_list
-- What has used up its attempts, and nobody runs.
select job.id::text as job_id, task.identifier as job, job.payload::text as payload
from graphile_worker._private_jobs job
join graphile_worker._private_tasks task on task.id = job.task_id
where job.attempts >= job.max_attempts and job.locked_at is null and ($after_id::bigint is null or job.id > $after_id)
order by job.id
limit $row_limit;

-- name: dead_job_take
-- Out of the queue, unless somebody else was first.
delete from graphile_worker._private_jobs as job
where job.id = $job_id and job.attempts >= job.max_attempts and job.locked_at is null
returning job.key as job_key, job.attempts::integer as attempts,
  coalesce(job.last_error, 'whoever ran it was killed, each time') as reason, job.created_at as queued_at, now() as failed_at;

-- name: dead_letter_insert
insert into jobs.dead_letter (tenant_id, id, job, payload, job_key, attempts, reason, queued_at, failed_at, status)
values ($tenant_id, $id, $job, $payload::json, $job_key, $attempts, $reason, $queued_at, $failed_at, 'waiting')
returning id, tenant_id, job, payload::text as payload, job_key, attempts, reason, queued_at, failed_at, status, settled_at, settled_by;

-- name: dead_letter_list
-- Within the wall: the platform's tenant sees those of all.
select id, tenant_id, job, payload::text as payload, job_key, attempts, reason, queued_at, failed_at, status, settled_at, settled_by
from jobs.dead_letter
where ($after::uuid is null or id < $after::uuid) and ($status::text is null or status = $status)
  and ($job::text is null or job = $job)
order by id desc
limit $row_limit;

-- name: dead_letter_find
select id, tenant_id, job, payload::text as payload, job_key, attempts, reason, queued_at, failed_at, status, settled_at, settled_by
from jobs.dead_letter
where id = $id;

-- name: dead_letter_settle
-- Of two who settle it, one.
update jobs.dead_letter
set status = $status, settled_at = now(), settled_by = $settled_by
where id = $id and status = 'waiting'
returning id, tenant_id, job, payload::text as payload, job_key, attempts, reason, queued_at, failed_at, status, settled_at, settled_by;
