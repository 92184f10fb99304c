-- The status of a transaction now, from its event and what happened to it. A hold that has expired is expired, whether or not the log
-- records it yet.
create or replace function ledger.transaction_status(p_tenant_id uuid, p_id uuid, p_type text, p_data json) returns text
language sql volatile
set search_path = pg_catalog
begin atomic
  select
    case
      when p_type = 'ledger.transaction_posted' then 'posted'
      else coalesce(
        (
          select case link.kind when 'capture' then 'posted' when 'void' then 'voided' else 'expired' end
          from ledger.transaction_link link
          where link.tenant_id = p_tenant_id and link.transaction_id = p_id and link.final
          limit 1
        ),
        case when (p_data ->> 'expires_at')::timestamptz <= clock_timestamp() then 'expired' else 'pending' end
      )
    end;
end;
