-- The key that is presented, before its tenant is known. Sees one row only, through the policy presented_key.
create or replace function access.find_api_key(p_key_id uuid)
returns table (
  tenant_id uuid, role text, secret_hash bytea, expires_at timestamptz, revoked_at timestamptz, tenant_mode text, tenant_status text
)
language plpgsql volatile
set search_path = pg_catalog
as $$
declare
  v_tenant_id uuid;
begin
  perform set_config('app.presented_key_id', p_key_id::text, true);
  select api_key.tenant_id into v_tenant_id from access.api_key where api_key.id = p_key_id;
  if not found then
    return;
  end if;
  perform set_config('app.tenant_id', v_tenant_id::text, true);
  return query
  select api_key.tenant_id, api_key.role, api_key.secret_hash, api_key.expires_at, api_key.revoked_at, tenant.mode, tenant.status
  from access.api_key
  join tenants.tenant on tenant.tenant_id = api_key.tenant_id
  where api_key.tenant_id = v_tenant_id and api_key.id = p_key_id;
end;
$$;
