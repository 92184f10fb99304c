-- Appends one event to the tenant's log and answers its position and instant.
-- Locks: the tenant's, until commit. The caller's transaction ends soon after.
create or replace function log.append_event(
  p_tenant_id uuid,
  p_id uuid,
  p_type text,
  p_subject_id uuid,
  p_data json,
  p_actor_id uuid,
  p_request_id text,
  p_occurred_at timestamptz,
  out "position" bigint,
  out recorded_at timestamptz
)
language plpgsql volatile
set search_path = pg_catalog
as $$
declare
  v_head record;
begin
  perform log.lock_tenant(p_tenant_id);
  select head.position, head.recorded_at into v_head from log.head(p_tenant_id) head;
  append_event.position := v_head.position + 1;
  append_event.recorded_at := greatest(clock_timestamp(), v_head.recorded_at);
  insert into log.event (tenant_id, position, id, type, subject_id, data, actor_id, request_id, occurred_at, recorded_at)
  values (
    p_tenant_id, append_event.position, p_id, p_type, p_subject_id, p_data, p_actor_id, p_request_id,
    coalesce(p_occurred_at, append_event.recorded_at), append_event.recorded_at
  );
end;
$$;
