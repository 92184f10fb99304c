-- name: account_position_list
select distinct position
from ledger.entry
where tenant_id = $tenant_id
  and account_id = $account_id
  and position > $after
order by position
limit $row_limit;
