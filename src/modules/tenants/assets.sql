-- name: asset_insert
insert into tenants.asset (tenant_id, currency, scale, name, created_at)
values ($tenant_id, $currency, $scale, $name, now())
returning currency, scale, name, created_at;

-- name: asset_find
select currency, scale, name, created_at
from tenants.asset
where tenant_id = $tenant_id and currency = $currency;

-- name: asset_list
select currency, scale, name, created_at
from tenants.asset
where tenant_id = $tenant_id and ($after::text is null or currency collate "C" > $after)
order by currency collate "C"
limit $row_limit;
