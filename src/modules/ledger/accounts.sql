-- name: account_insert
with created as (
  insert into ledger.account (tenant_id, id, code, type, currency, scale, created_at)
  values ($tenant_id, $id, $code, $type, $currency, $scale, $recorded_at)
),
paired as (
  insert into ledger.account_metadata_pair (tenant_id, pair_hash, code, account_id)
  select $tenant_id, pair_hash, $code, $id
  from unnest($pair_hashes::uuid[]) pair_hash
)
insert into ledger.account_version (
  tenant_id, account_id, position, number, name, status, available_min, posted_max, metadata, recorded_at
)
values ($tenant_id, $id, $position, 1, $name, 'open', $available_min, $posted_max, $metadata, $recorded_at);

-- name: account_version_insert
with paired as (
  insert into ledger.account_metadata_pair (tenant_id, pair_hash, code, account_id)
  select $tenant_id, pair_hash, $code, $id
  from unnest($pair_hashes::uuid[]) pair_hash
  on conflict do nothing
)
insert into ledger.account_version (
  tenant_id, account_id, position, number, name, status, available_min, posted_max, metadata, recorded_at
)
values ($tenant_id, $id, $position, $number, $name, $status, $available_min, $posted_max, $metadata, $recorded_at);

-- name: account_lock
select log.lock_tenant($tenant_id);

-- name: account_find
select id, code, name, type, currency, scale, available_min, posted_max, status, metadata, created_at, number
from ledger.current_account
where tenant_id = $tenant_id and id = $id;

-- name: account_find_by_code
select id, code, name, type, currency, scale, available_min, posted_max, status, metadata, created_at, number
from ledger.current_account
where tenant_id = $tenant_id and code = $code;

-- name: account_list
select id, code, name, type, currency, scale, available_min, posted_max, status, metadata, created_at, number
from ledger.current_account
where tenant_id = $tenant_id
  and code collate "C" > coalesce($after_code, '')
  and code collate "C" >= coalesce($code_prefix, '')
  -- codes are ASCII without DEL
  and code collate "C" < coalesce($code_prefix, '') || chr(127)
  and ($type::text is null or type = $type)
  and ($currency::text is null or currency = $currency)
  and ($status::text is null or status = $status)
order by code collate "C"
limit $row_limit;

-- name: account_list_by_metadata
select account.id, account.code, account.name, account.type, account.currency, account.scale, account.available_min,
  account.posted_max, account.status, account.metadata, account.created_at, account.number
from ledger.account_metadata_pair pair
join ledger.current_account account on account.tenant_id = pair.tenant_id and account.id = pair.account_id
where pair.tenant_id = $tenant_id
  and pair.pair_hash = $pair_hash
  and pair.code > coalesce($after_code, '')
  and pair.code >= coalesce($code_prefix, '')
  and pair.code < coalesce($code_prefix, '') || chr(127)
  and account.metadata @> $metadata::jsonb
  and ($type::text is null or account.type = $type)
  and ($currency::text is null or account.currency = $currency)
  and ($status::text is null or account.status = $status)
order by pair.code
limit $row_limit;
