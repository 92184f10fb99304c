-- The last position of each of these tenants' logs. Each tenant is looked at by itself, within its own wall.
create or replace function log.list_heads(p_tenant_ids uuid[])
returns table (tenant_id uuid, head_position bigint)
language plpgsql volatile
set search_path = pg_catalog
as $$
#variable_conflict use_column
declare
  v_tenant_id uuid;
begin
  foreach v_tenant_id in array p_tenant_ids loop
    perform set_config('app.tenant_id', v_tenant_id::text, true);
    return query select v_tenant_id, head.position from log.head(v_tenant_id) head;
  end loop;
end;
$$;
