-- The newest entries of a tenant up to a position, 200 at most, the newest first: from the end of an index, whatever the history.
-- The caller has set the tenant.
create or replace function projection.list_newest_entries(p_tenant_id uuid, p_position bigint, p_recorded_at timestamptz)
returns table ("position" bigint, account_id uuid, effective_at timestamptz, recorded_at timestamptz)
language plpgsql stable
set search_path = pg_catalog
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
as $$
#variable_conflict use_column
begin
  return query
  select entry.position, entry.account_id, entry.effective_at, entry.recorded_at
  from ledger.entry
  where entry.tenant_id = p_tenant_id and entry.position <= p_position and entry.recorded_at <= p_recorded_at
  order by entry.position desc, entry.ordinal desc
  limit 200;
end;
$$;
