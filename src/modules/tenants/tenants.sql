-- name: tenant_insert
insert into tenants.tenant (tenant_id, slug, name, mode, status, template, currency, version, created_at, updated_at)
values ($id, $slug, $name, $mode, 'active', $template, $currency, 1, now(), now())
returning tenant_id as id, slug, name, mode, status, template, currency, version, created_at, updated_at;

-- name: tenant_find
select tenant_id as id, slug, name, mode, status, template, currency, version, created_at, updated_at
from tenants.tenant
where tenant_id = $id;
