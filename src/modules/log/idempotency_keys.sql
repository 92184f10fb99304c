-- name: idempotency_key_find
select request_hash, status, position, body
from log.idempotency_key
where tenant_id = $tenant_id and key_hash = $key_hash;

-- name: idempotency_key_insert
insert into log.idempotency_key (tenant_id, key_hash, request_hash, status, body)
values ($tenant_id, $key_hash, $request_hash, $status, $body)
on conflict on constraint idempotency_key_pkey do nothing;
