-- name: tenant_insert
insert into tenants.tenant (
  tenant_id, slug, name, mode, status, template, currency, owner_key_id, owner_key_hash, opening_assets, created_at, updated_at
)
values (
  $id, $slug, $name, $mode, $status, $template, $currency, $owner_key_id, $owner_key_hash, $opening_assets, now(), now()
)
returning tenant_id as id, slug, name, mode, status, template, currency, created_at, updated_at;

-- name: tenant_find
select tenant_id as id, slug, name, mode, status, template, currency, created_at, updated_at
from tenants.tenant
where tenant_id = $id;

-- name: tenant_lock
select tenant_id
from tenants.tenant
where tenant_id = $id
for update;

-- name: tenant_find_by_slug
select tenant_id as id, slug, name, mode, status, template, currency, created_at, updated_at
from tenants.tenant
where slug = $slug;

-- name: tenant_list
select tenant_id as id, slug, name, mode, status, template, currency, created_at, updated_at
from tenants.tenant
where tenant_id > coalesce($after, '00000000-0000-7000-8000-000000000000'::uuid)
  and ($status::text is null or status = $status)
order by tenant_id
limit $row_limit;

-- name: tenant_list_opening
select tenant_id as id
from tenants.tenant
where status = 'opening'
order by tenant_id;

-- name: tenant_open
update tenants.tenant
set status = 'active'
where tenant_id = $id and status = 'opening'
returning tenant_id as id, slug, name, mode, status, template, currency, created_at, updated_at,
  owner_key_id, owner_key_hash, opening_assets;

-- name: tenant_rename
update tenants.tenant
set name = $name, updated_at = now()
where tenant_id = $id
returning tenant_id as id, slug, name, mode, status, template, currency, created_at, updated_at;

-- name: tenant_set_status
update tenants.tenant
set status = $status, updated_at = now()
where tenant_id = $id
returning tenant_id as id, slug, name, mode, status, template, currency, created_at, updated_at;
