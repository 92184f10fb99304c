-- name: account_cache_find
select * from ledger.find_accounts($tenant_id, $ids::uuid[], $codes::text[]);

-- name: account_cache_first
select * from ledger.first_accounts($tenant_id, $limit);

-- name: account_cache_changes
select * from ledger.changed_accounts($tenant_id, $after_position, $limit);
