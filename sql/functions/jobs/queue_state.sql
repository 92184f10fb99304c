-- The queue by job, for metrics: how many wait and are due, since when the oldest, how many run, how many gave up and wait for somebody.
create or replace function jobs.queue_state()
returns table (job text, waiting integer, due integer, running integer, oldest_due_seconds float8, dead_letters integer)
language plpgsql volatile
set search_path = pg_catalog
as $$
#variable_conflict use_column
begin
  perform set_config('app.tenant_id', '00000000-0000-7000-8000-000000000000', true);
  return query
  select
    coalesce(queued.job, dead.job),
    coalesce(queued.waiting, 0), coalesce(queued.due, 0), coalesce(queued.running, 0), coalesce(queued.oldest_due_seconds, 0),
    coalesce(dead.dead_letters, 0)
  from (
    select
      task.identifier as job,
      count(*) filter (where job.locked_at is null)::integer as waiting,
      count(*) filter (where job.locked_at is null and job.run_at <= now())::integer as due,
      count(*) filter (where job.locked_at is not null)::integer as running,
      coalesce(extract(epoch from now() - min(job.run_at) filter (where job.locked_at is null and job.run_at <= now())), 0)::float8
        as oldest_due_seconds
    from graphile_worker._private_jobs job
    join graphile_worker._private_tasks task on task.id = job.task_id
    group by task.identifier
  ) queued
  full join (
    select dead_letter.job, count(*)::integer as dead_letters
    from jobs.dead_letter
    where dead_letter.status = 'waiting'
    group by dead_letter.job
  ) dead on dead.job = queued.job;
end;
$$;
