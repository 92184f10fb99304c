-- Tenants and their API keys.

create schema tenants;

create table tenants.tenant (
  tenant_id uuid not null,
  slug text not null,
  name text not null,
  -- whether its money is real; its keys begin with lk_live_ or lk_test_ accordingly
  mode text not null,
  status text not null,
  template text not null,
  currency text not null,
  -- the owner key that the tenant is opened with, made known here because its row belongs to the tenant's own transaction
  owner_key_id uuid,
  owner_key_hash bytea,
  -- and the assets that it is opened with, for the same reason
  opening_assets jsonb not null default '[]',
  created_at timestamptz not null,
  updated_at timestamptz not null,
  constraint tenant_pkey primary key (tenant_id),
  constraint tenant_mode_known check (mode in ('live', 'test')),
  constraint tenant_status_known check (status in ('opening', 'active', 'suspended')),
  constraint tenant_owner_key_given check ((owner_key_id is null) = (owner_key_hash is null)),
  constraint tenant_opening_has_owner_key check (status <> 'opening' or owner_key_id is not null)
);

-- The platform's own tenant, whose log records changes to tenants and platform keys. XXX is ISO 4217 for "no currency".
insert into tenants.tenant (tenant_id, slug, name, mode, status, template, currency, created_at, updated_at)
values ('00000000-0000-7000-8000-000000000000', 'platform', 'Platform', 'live', 'active', 'blank', 'XXX', now(), now());

-- The platform's tenant sees every tenant; a tenant sees itself.
alter table tenants.tenant enable row level security;
alter table tenants.tenant force row level security;
create policy tenant_wall on tenants.tenant
  using (
    tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid)
    or (select nullif(current_setting('app.tenant_id', true), '')::uuid) = '00000000-0000-7000-8000-000000000000'
  );

-- A slug names a tenant for people; only the platform writes tenants, so one tenant never learns another's slug.
create unique index tenant_slug_taken on tenants.tenant (slug);

-- A unit of account that ISO 4217 does not know: points, tokens, fund units.
create table tenants.asset (
  tenant_id uuid not null,
  currency text not null,
  scale smallint not null,
  name text not null,
  created_at timestamptz not null,
  constraint asset_taken primary key (tenant_id, currency),
  constraint asset_scale_known check (scale between 0 and 18)
);

alter table tenants.asset enable row level security;
alter table tenants.asset force row level security;
create policy tenant_wall on tenants.asset
  using (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid));

create schema access;

create table access.api_key (
  tenant_id uuid not null,
  id uuid not null,
  name text not null,
  role text not null,
  -- SHA-256 of the secret; the secret itself is shown once and kept nowhere
  secret_hash bytea not null,
  rotated_from uuid,
  created_at timestamptz not null,
  expires_at timestamptz,
  revoked_at timestamptz,
  constraint api_key_pkey primary key (tenant_id, id),
  constraint api_key_platform_role check ((role = 'platform') = (tenant_id = '00000000-0000-7000-8000-000000000000')),
  constraint api_key_secret_hash_sha256 check (length(secret_hash) = 32),
  constraint api_key_rotated_from_fkey foreign key (tenant_id, rotated_from) references access.api_key (tenant_id, id)
);

-- Authentication knows the key's id before it knows the tenant.
create index api_key_id_idx on access.api_key (id);

alter table access.api_key enable row level security;
alter table access.api_key force row level security;
create policy tenant_wall on access.api_key
  using (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid));
-- One row, and only for reading: the key that is presented (access.find_api_key sets it for its own statement).
create policy presented_key on access.api_key for select
  using (id = (select nullif(current_setting('app.presented_key_id', true), '')::uuid));

-- What people and programs may see of a key.
create view access.key with (security_invoker = true) as
select tenant_id, id, name, role, rotated_from, created_at, expires_at, revoked_at,
  case
    when revoked_at is not null then 'revoked'
    when expires_at <= now() then 'expired'
    else 'active'
  end as status
from access.api_key;

grant usage on schema tenants, access to lattice_app, lattice_read;
grant select, insert, update on tenants.tenant to lattice_app;
grant select, insert on tenants.asset to lattice_app;
grant select, insert, update on access.api_key to lattice_app;
grant select on access.key to lattice_app;
grant select on tenants.asset to lattice_read;
grant select (tenant_id, slug, name, mode, status, template, currency, owner_key_id, opening_assets, created_at, updated_at)
on tenants.tenant to lattice_read;
