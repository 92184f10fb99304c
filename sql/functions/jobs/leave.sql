-- A worker that has stopped is no more, and holds nothing.
create or replace function jobs.leave(p_worker_id text) returns void
language plpgsql volatile
set search_path = pg_catalog
as $$
begin
  perform set_config('app.tenant_id', '00000000-0000-7000-8000-000000000000', true);
  delete from jobs.worker
  where worker.tenant_id = '00000000-0000-7000-8000-000000000000' and worker.id = p_worker_id;
  perform graphile_worker.force_unlock_workers(array[p_worker_id]);
end;
$$;
