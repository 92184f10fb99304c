-- name: stream_ticket_insert
insert into access.stream_ticket (tenant_id, secret_hash, key_id, target, expires_at)
values ($tenant_id, $secret_hash, $key_id, $target, now() + make_interval(secs => $lifetime_seconds))
returning expires_at;

-- name: stream_ticket_delete_expired
delete from access.stream_ticket
where tenant_id = $tenant_id and expires_at < now();

-- name: stream_ticket_find
select key_id
from access.find_stream_ticket($tenant_id, $secret_hash, $target);

-- name: stream_ticket_take
select key_id
from access.take_stream_ticket($tenant_id, $secret_hash, $target);
