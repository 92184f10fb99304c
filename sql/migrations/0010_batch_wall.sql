-- Tenants who post little share a commit: one statement inserts for the tenants it names in app.batch_tenant_ids, and for no other.
-- For inserting only: nothing of one tenant is ever read in the name of another.

do $$
declare
  v_table text;
begin
  foreach v_table in array array['log.event', 'log.idempotency_key', 'ledger.entry', 'ledger.reference', 'ledger.metadata_pair'] loop
    execute format(
      'create policy batch_wall on %s for insert
       with check (tenant_id = any (coalesce((select nullif(current_setting(''app.batch_tenant_ids'', true), '''')::uuid[]), ''{}'')))',
      v_table
    );
  end loop;
end;
$$;
