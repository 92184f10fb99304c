-- One event by its position; no row when the log is shorter.
create or replace function log.find_event(p_tenant_id uuid, p_position bigint)
returns table (subject_id uuid, "position" bigint, data json, effective_at timestamptz, recorded_at timestamptz)
language plpgsql volatile
set search_path = pg_catalog
as $$
begin
  perform set_config('app.tenant_id', p_tenant_id::text, true);
  return query
  select event.subject_id, event.position, event.data, event.occurred_at, event.recorded_at
  from log.event
  where event.tenant_id = p_tenant_id and event.position = p_position;
end;
$$;
