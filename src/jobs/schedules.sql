-- name: schedule_open
-- The schedules that are not there yet.
insert into jobs.schedule (tenant_id, job, cron, time_zone, status, next_at, updated_at)
select tenant.id, $job, $cron, $time_zone, 'active', coalesce($next_at::timestamptz, now()), now()
from unnest($tenant_ids::uuid[]) as tenant(id)
on conflict on constraint schedule_pkey do nothing;

-- name: schedule_list_due
-- Held until the transaction ends; what another process holds is passed over, for it is putting that into the queue.
select tenant_id, job, cron, time_zone
from jobs.schedule
where status = 'active' and next_at <= now() and job = any ($jobs::text[])
order by next_at
limit $row_limit
for update skip locked;

-- name: schedule_advance
update jobs.schedule
set next_at = $next_at, last_at = now()
where tenant_id = $tenant_id and job = $job;

-- name: schedule_postpone
-- Not told as a time when it was put into the queue.
update jobs.schedule
set next_at = now() + interval '1 hour'
where tenant_id = $tenant_id and job = $job;

-- name: schedule_list
select job, cron, time_zone, status, next_at, last_at, updated_at
from jobs.schedule
where tenant_id = $tenant_id
order by job;

-- name: schedule_find
select job, cron, time_zone, status, next_at, last_at, updated_at
from jobs.schedule
where tenant_id = $tenant_id and job = $job;

-- name: schedule_lock
select job, cron, time_zone, status, next_at, last_at, updated_at
from jobs.schedule
where tenant_id = $tenant_id and job = $job
for update;

-- name: schedule_set
update jobs.schedule
set cron = $cron, time_zone = $time_zone, status = $status, next_at = $next_at, updated_at = now()
where tenant_id = $tenant_id and job = $job
returning job, cron, time_zone, status, next_at, last_at, updated_at;

-- name: schedule_clock
select now() as now;
