-- name: balances_apply
select state, position from projection.apply_entries($tenant_id, 'balances', null, null, null, $limit);

-- name: ledger_prove
select position, balances_position, difference_count, differences from ledger.prove($tenant_id);
