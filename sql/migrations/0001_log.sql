-- The log: one append-only sequence of events per tenant, the idempotency keys for ever, and the positions of its consumers.

create schema log;

-- Positions are dense per tenant and equal commit order: they are assigned under the tenant's lock (log.lock_tenant).
create table log.event (
  tenant_id uuid not null,
  position bigint not null,
  id uuid not null,
  type text not null,
  subject_id uuid not null,
  data json not null,
  actor_id uuid not null,
  request_id text not null,
  occurred_at timestamptz not null,
  recorded_at timestamptz not null,
  constraint event_pkey primary key (tenant_id, position, recorded_at),
  constraint event_position_positive check (position > 0)
) partition by range (recorded_at);

create index event_subject_idx on log.event (tenant_id, subject_id, position);

-- What a request with a key was answered. For ever, so outside partitions; hashes, so small.
-- An accepted posting has no body here: its answer is its event, at `position`.
create table log.idempotency_key (
  tenant_id uuid not null,
  key_hash uuid not null,
  request_hash uuid not null,
  status smallint not null,
  position bigint,
  body text,
  constraint idempotency_key_pkey primary key (tenant_id, key_hash),
  constraint idempotency_key_has_answer check (position is not null or body is not null)
);

-- How far each consumer of the log has come.
create table log.consumer (
  tenant_id uuid not null,
  name text not null,
  position bigint not null,
  -- of that position's event; everything after it is as recent as that or newer
  recorded_at timestamptz not null,
  moved_at timestamptz not null,
  constraint consumer_pkey primary key (tenant_id, name)
);

alter table log.event enable row level security;
alter table log.event force row level security;
create policy tenant_wall on log.event
  using (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid));

alter table log.idempotency_key enable row level security;
alter table log.idempotency_key force row level security;
create policy tenant_wall on log.idempotency_key
  using (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid));

alter table log.consumer enable row level security;
alter table log.consumer force row level security;
create policy tenant_wall on log.consumer
  using (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid));

grant usage on schema log to lattice_app, lattice_read;
grant select, insert on log.event, log.idempotency_key to lattice_app;
grant select, insert, update on log.consumer to lattice_app;
grant select on log.event, log.consumer to lattice_read;
