-- name: balances_apply
select state, position from projection.apply_balances($tenant_id, 'balances', $limit);

-- name: ledger_prove
select position, balances_position, difference_count, differences from ledger.prove($tenant_id);
