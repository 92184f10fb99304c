-- Following the log: consumers that fail rest, and are parked in the end; tickets open one live stream for a browser.

alter table log.consumer
  -- failures at this position since it was reached
  add column attempts integer not null default 0,
  -- it rests until then
  add column next_attempt_at timestamptz,
  -- it rests until somebody resumes it
  add column parked_at timestamptz,
  -- of the last failure at this position
  add column reason text,
  -- squawk-ignore constraint-missing-not-valid
  add constraint consumer_failure_told check ((attempts = 0) = (reason is null)),
  -- squawk-ignore constraint-missing-not-valid
  add constraint consumer_parked_failed check (parked_at is null or attempts > 0);

-- Opens one stream, once, for whoever presents it in a URL, where an API key has no place. Used or expired ones are deleted.
create table access.stream_ticket (
  tenant_id uuid not null,
  -- SHA-256 of the secret
  secret_hash bytea not null,
  -- the key that asked for it: the stream may do what the key may
  key_id uuid not null,
  -- path and query of the stream that it opens
  target text not null,
  expires_at timestamptz not null,
  constraint stream_ticket_pkey primary key (tenant_id, secret_hash),
  constraint stream_ticket_secret_hash_sha256 check (length(secret_hash) = 32),
  constraint stream_ticket_of_key foreign key (tenant_id, key_id) references access.api_key (tenant_id, id)
);

create index stream_ticket_expiry_idx on access.stream_ticket (tenant_id, expires_at);

alter table access.stream_ticket enable row level security;
alter table access.stream_ticket force row level security;
create policy tenant_wall on access.stream_ticket
  using (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid));

grant select, insert, delete on access.stream_ticket to lattice_app;
