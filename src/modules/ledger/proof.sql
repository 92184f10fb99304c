-- name: proof_allow_time
select set_config('statement_timeout', '1h', true);

-- name: proof_count
select position, balances_position, entry_count, currencies, difference_count, differences, statement_timestamp() as checked_at
from ledger.prove($tenant_id);

-- name: halt_find
select halted, reason, recorded_at
from ledger.halt
where tenant_id = $tenant_id
order by position desc
limit 1;

-- name: halt_insert
insert into ledger.halt (tenant_id, position, halted, reason, recorded_at)
values ($tenant_id, $position, $halted, $reason, $recorded_at);
