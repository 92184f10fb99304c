-- A worker says that it lives, and frees what the dead have locked: whoever has not been seen for p_dead_after, or was never seen.
-- Answers how many jobs it freed, and whether there is anything for a turn of the housekeeping: a schedule that is due, a job that gave up.
-- Units: p_dead_after in milliseconds. Locks: rows of dead workers only. Nothing here has to be on the disk when the answer is given.
create or replace function jobs.beat(
  p_worker_id text, p_dead_after_ms integer, out freed integer, out has_due boolean, out has_dead boolean
)
language plpgsql volatile
set search_path = pg_catalog
as $$
declare
  v_platform constant uuid := '00000000-0000-7000-8000-000000000000';
  v_now timestamptz := clock_timestamp();
  v_dead_since timestamptz := v_now - make_interval(secs => p_dead_after_ms / 1000.0);
  v_dead text[];
begin
  perform set_config('app.tenant_id', v_platform::text, true), set_config('synchronous_commit', 'off', true);
  insert into jobs.worker (tenant_id, id, started_at, seen_at)
  values (v_platform, p_worker_id, v_now, v_now)
  on conflict on constraint worker_pkey do update
  set seen_at = excluded.seen_at;
  delete from jobs.worker
  where worker.tenant_id = v_platform and worker.seen_at < v_dead_since;

  select array_agg(distinct held.locked_by), count(*) filter (where held.is_job) into v_dead, freed
  from (
    select job.locked_by, job.locked_at, true as is_job
    from graphile_worker._private_jobs job
    where job.locked_by is not null
    union all
    select queue.locked_by, queue.locked_at, false
    from graphile_worker._private_job_queues queue
    where queue.locked_by is not null
  ) held
  where held.locked_at < v_dead_since
    and not exists (select from jobs.worker where worker.tenant_id = v_platform and worker.id = held.locked_by);
  if v_dead is not null then
    perform graphile_worker.force_unlock_workers(v_dead);
    perform pg_notify('jobs:insert', json_build_object('r', random(), 'count', freed)::text);
  end if;

  select exists (select from jobs.schedule where schedule.status = 'active' and schedule.next_at <= v_now) into has_due;
  select exists (
    select from graphile_worker._private_jobs job where job.attempts >= job.max_attempts and job.locked_at is null
  ) into has_dead;
end;
$$;
