-- name: signing_secret_insert
insert into webhooks.signing_secret (tenant_id, endpoint_id, id, algorithm, sealed, public_key, created_at)
values ($tenant_id, $endpoint_id, $id, $algorithm, $sealed, $public_key, now());

-- name: signing_secret_expire
update webhooks.signing_secret
set expires_at = least(expires_at, now() + make_interval(secs => $overlap_seconds))
where tenant_id = $tenant_id and endpoint_id = $endpoint_id and (expires_at is null or expires_at > now());

-- name: signing_secret_list
select endpoint_id, algorithm, public_key, created_at, expires_at
from webhooks.signing_secret
where tenant_id = $tenant_id and endpoint_id = any ($endpoint_ids::uuid[])
  and (expires_at is null or expires_at > clock_timestamp())
order by id desc;

-- name: signing_secret_list_kept
select endpoint_id, id, algorithm, sealed
from webhooks.signing_secret
where tenant_id = $tenant_id and id > $after and (expires_at is null or expires_at > clock_timestamp())
order by id
limit $row_limit;

-- name: signing_secret_reseal
update webhooks.signing_secret
set sealed = $sealed
where tenant_id = $tenant_id and endpoint_id = $endpoint_id and id = $id;

-- name: signing_secret_list_sealed
select endpoint_id, id, algorithm, sealed
from webhooks.signing_secret
where tenant_id = $tenant_id and endpoint_id = any ($endpoint_ids::uuid[])
  and (expires_at is null or expires_at > clock_timestamp())
order by id desc;
