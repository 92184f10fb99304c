-- name: key_insert
insert into access.api_key (tenant_id, id, name, role, secret_hash, rotated_from, created_at, expires_at)
values ($tenant_id, $id, $name, $role, $secret_hash, $rotated_from, now(), $expires_at);

-- name: key_find
select id, name, role, status, rotated_from, created_at, expires_at, revoked_at
from access.key
where tenant_id = $tenant_id and id = $id;

-- name: key_lock
select id
from access.api_key
where tenant_id = $tenant_id and id = $id
for update;

-- name: key_list
select id, name, role, status, rotated_from, created_at, expires_at, revoked_at
from access.key
where tenant_id = $tenant_id
  and ($after::uuid is null or id > $after)
  and ($status::text is null or status = $status)
order by id
limit $row_limit;

-- name: key_lock_lasting
select id
from access.api_key
where tenant_id = $tenant_id and role = $role and revoked_at is null and expires_at is null
order by id
for update;

-- name: key_revoke
update access.api_key
set revoked_at = now()
where tenant_id = $tenant_id and id = $id;

-- name: key_end
update access.api_key
set expires_at = least(expires_at, now() + make_interval(secs => $overlap_seconds))
where tenant_id = $tenant_id and id = $id;
