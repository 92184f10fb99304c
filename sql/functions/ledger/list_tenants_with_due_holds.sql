-- Of these tenants, those of whose holds some have expired without a record of it. Each tenant is looked at by itself, within its own wall.
create or replace function ledger.list_tenants_with_due_holds(p_tenant_ids uuid[]) returns table (tenant_id uuid)
language plpgsql volatile
set search_path = pg_catalog
as $$
#variable_conflict use_column
declare
  v_tenant_id uuid;
begin
  foreach v_tenant_id in array p_tenant_ids loop
    if exists (select from ledger.list_due_holds(v_tenant_id, null, null, 1)) then
      tenant_id := v_tenant_id;
      return next;
    end if;
  end loop;
end;
$$;
