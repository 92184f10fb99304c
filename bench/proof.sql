-- name: acknowledged_count
-- How many of the transactions are in the log with both their entries.
select count(*) as found
from (
  select distinct event.subject_id
  from log.event
  where event.tenant_id = $tenant_id
    and event.subject_id = any($transaction_ids::uuid[])
    and 2 = (
      select count(*) from ledger.entry
      where entry.tenant_id = $tenant_id and entry.position = event.position
    )
) found;

-- name: balance_recount
-- An account's balance counted from its entries: credits less debits of what was effective by then and known at that position.
select coalesce(sum(case entry.direction when 'credit' then entry.amount else -entry.amount end), 0) as balance
from ledger.entry
where entry.tenant_id = $tenant_id
  and entry.account_id = $account_id
  and entry.layer = 'posted'
  and entry.effective_at <= coalesce($as_of::timestamptz, 'infinity')
  and entry.position <= coalesce($known_at::bigint, 9223372036854775807);
