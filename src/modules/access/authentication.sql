-- name: api_key_find
select tenant_id, role, secret_hash, expires_at, revoked_at, tenant_mode, tenant_status
from access.find_api_key($key_id);
