-- Webhooks: who is called about what happens, and what became of each call.

create schema webhooks;

create table webhooks.endpoint (
  tenant_id uuid not null,
  id uuid not null,
  url text not null,
  description text,
  -- event types; null means all
  types text[],
  -- parallel: a delivery that fails holds up no other · ordered: one at a time, in the log's order
  ordering text not null,
  -- of the body
  format text not null,
  -- the events after this position are delivered
  from_position bigint not null,
  status text not null,
  disabled_at timestamptz,
  disabled_reason text,
  -- of the event that disabled it: what came after has not been queued
  disabled_position bigint,
  -- its first failure since its last success
  failing_since timestamptz,
  -- it is not called until then
  resting_until timestamptz,
  -- of an ordered one: the process that calls it, and until when nobody else does
  leased_by uuid,
  leased_until timestamptz,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  constraint endpoint_pkey primary key (tenant_id, id),
  constraint endpoint_ordering_known check (ordering in ('parallel', 'ordered')),
  constraint endpoint_format_known check (format in ('event', 'cloudevents')),
  constraint endpoint_status_known check (status in ('enabled', 'disabled')),
  constraint endpoint_disabled_told check (
    (status = 'disabled') = (disabled_at is not null)
    and (status = 'disabled') = (disabled_reason is not null)
  ),
  constraint endpoint_types_some check (cardinality(types) > 0)
);

-- What signs the calls. Sealed by a key that is not in the database; what is public is beside it.
create table webhooks.signing_secret (
  tenant_id uuid not null,
  endpoint_id uuid not null,
  id uuid not null,
  algorithm text not null,
  sealed bytea not null,
  public_key text,
  created_at timestamptz not null,
  -- a rotated one goes on signing beside its successor until then
  expires_at timestamptz,
  constraint signing_secret_pkey primary key (tenant_id, endpoint_id, id),
  constraint signing_secret_algorithm_known check (algorithm in ('hmac', 'ed25519')),
  constraint signing_secret_public_key_given check ((algorithm = 'ed25519') = (public_key is not null)),
  constraint signing_secret_of_endpoint foreign key (tenant_id, endpoint_id) references webhooks.endpoint (tenant_id, id)
);

-- One event for one endpoint. Endpoints are never removed, and a foreign key would lock the endpoint's row for each delivery.
create table webhooks.delivery (
  tenant_id uuid not null,
  id uuid not null,
  endpoint_id uuid not null,
  -- of the event
  position bigint not null,
  recorded_at timestamptz not null,
  event_id uuid not null,
  type text not null,
  -- log: it happened · redelivery, replay: somebody asked for it again
  origin text not null,
  status text not null,
  attempts integer not null,
  due_at timestamptz not null,
  -- the process that is calling, and until when nobody else does
  leased_by uuid,
  leased_until timestamptz,
  created_at timestamptz not null,
  finished_at timestamptz,
  constraint delivery_pkey primary key (tenant_id, id),
  constraint delivery_origin_known check (origin in ('log', 'redelivery', 'replay')),
  constraint delivery_status_known check (status in ('pending', 'succeeded', 'failed')),
  constraint delivery_finished_told check ((status = 'pending') = (finished_at is null))
) with (fillfactor = 80);

-- What is to be delivered next. Not changed by a claim, which is then a cheap update.
create index delivery_due_idx on webhooks.delivery (tenant_id, endpoint_id, due_at, position) where status = 'pending';
create index delivery_endpoint_idx on webhooks.delivery (tenant_id, endpoint_id, id);

-- Each call that was made.
create table webhooks.attempt (
  tenant_id uuid not null,
  delivery_id uuid not null,
  number integer not null,
  started_at timestamptz not null,
  duration_ms integer not null,
  -- null when there was no answer
  status_code smallint,
  -- null when it succeeded
  fault text,
  detail text,
  -- the beginning of what was answered
  answer text,
  constraint attempt_pkey primary key (tenant_id, delivery_id, number),
  constraint attempt_number_positive check (number > 0)
);

alter table webhooks.endpoint enable row level security;
alter table webhooks.endpoint force row level security;
create policy tenant_wall on webhooks.endpoint
  using (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid));

alter table webhooks.signing_secret enable row level security;
alter table webhooks.signing_secret force row level security;
create policy tenant_wall on webhooks.signing_secret
  using (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid));

alter table webhooks.delivery enable row level security;
alter table webhooks.delivery force row level security;
create policy tenant_wall on webhooks.delivery
  using (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid));

alter table webhooks.attempt enable row level security;
alter table webhooks.attempt force row level security;
create policy tenant_wall on webhooks.attempt
  using (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid));

grant usage on schema webhooks to lattice_app, lattice_read;
grant select, insert, update on webhooks.endpoint, webhooks.delivery to lattice_app;
grant select, insert, update on webhooks.signing_secret to lattice_app;
grant select, insert on webhooks.attempt to lattice_app;
grant select on webhooks.endpoint, webhooks.delivery, webhooks.attempt to lattice_read;
