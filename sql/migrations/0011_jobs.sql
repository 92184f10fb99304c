-- Jobs: which workers live, what runs when, and the jobs that gave up. The queue itself is graphile-worker's own schema.

create schema jobs;

-- A process that takes jobs from the queue. The rows belong to the platform's tenant.
create table jobs.worker (
  tenant_id uuid not null,
  -- as the queue calls the holder of a lock
  id text not null,
  started_at timestamptz not null,
  -- one that has not been seen for some seconds is dead, and what it had locked is free again
  seen_at timestamptz not null,
  constraint worker_pkey primary key (tenant_id, id)
);

-- When a job is put into the queue by itself: the platform's own jobs, and those of each tenant.
create table jobs.schedule (
  tenant_id uuid not null,
  job text not null,
  -- five fields: minute, hour, day, month, weekday
  cron text not null,
  -- by which clock, such as Europe/Berlin
  time_zone text not null,
  status text not null,
  next_at timestamptz not null,
  -- when it was last put into the queue
  last_at timestamptz,
  updated_at timestamptz not null,
  constraint schedule_pkey primary key (tenant_id, job),
  constraint schedule_status_known check (status in ('active', 'paused'))
);

-- Across tenants: one look finds what is due.
create index schedule_due_idx on jobs.schedule (next_at) where status = 'active';

-- A job that has used up its attempts. It waits for somebody, and stays here afterwards.
create table jobs.dead_letter (
  tenant_id uuid not null,
  id uuid not null,
  job text not null,
  -- ids only
  payload json not null,
  -- under which it stood in the queue; no other job may have the same
  job_key text,
  attempts integer not null,
  -- of its last failure
  reason text not null,
  queued_at timestamptz not null,
  failed_at timestamptz not null,
  status text not null,
  settled_at timestamptz,
  -- the API key of whoever retried or dismissed it
  settled_by uuid,
  constraint dead_letter_pkey primary key (tenant_id, id),
  constraint dead_letter_status_known check (status in ('waiting', 'retried', 'dismissed')),
  constraint dead_letter_settled_told check ((status = 'waiting') = (settled_at is null) and (status = 'waiting') = (settled_by is null))
);

-- Across tenants, for who runs the platform.
create index dead_letter_id_idx on jobs.dead_letter (id);

alter table jobs.worker enable row level security;
alter table jobs.worker force row level security;
create policy tenant_wall on jobs.worker
  using (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid));

-- The platform's tenant sees every tenant; a tenant sees itself.
alter table jobs.schedule enable row level security;
alter table jobs.schedule force row level security;
create policy tenant_wall on jobs.schedule
  using (
    tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid)
    or (select nullif(current_setting('app.tenant_id', true), '')::uuid) = '00000000-0000-7000-8000-000000000000'
  );

alter table jobs.dead_letter enable row level security;
alter table jobs.dead_letter force row level security;
create policy tenant_wall on jobs.dead_letter
  using (
    tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid)
    or (select nullif(current_setting('app.tenant_id', true), '')::uuid) = '00000000-0000-7000-8000-000000000000'
  );

grant usage on schema jobs to lattice_app, lattice_read;
grant select, insert, update, delete on jobs.worker to lattice_app;
grant select, insert, update on jobs.schedule, jobs.dead_letter to lattice_app;
grant select on jobs.worker, jobs.schedule, jobs.dead_letter to lattice_read;
