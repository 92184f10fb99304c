-- name: key_insert
insert into access.api_key (tenant_id, id, name, role, secret_hash, rotated_from, created_at, expires_at)
values ($tenant_id, $id, $name, $role, $secret_hash, $rotated_from, now(), $expires_at);

-- name: key_find
select id, name, role, status, rotated_from, created_at, expires_at, revoked_at
from access.key
where tenant_id = $tenant_id and id = $id;
