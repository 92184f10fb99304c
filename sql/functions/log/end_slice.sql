-- Moves consumers to the end of the slice that their transaction has applied. What had failed before is forgotten.
-- In plpgsql, which keeps the plan for the session.
create or replace function log.end_slice(p_tenant_id uuid, p_consumers text[], p_position bigint, p_recorded_at timestamptz) returns void
language plpgsql volatile
set search_path = pg_catalog
as $$
begin
  update log.consumer
  set position = p_position, recorded_at = p_recorded_at, moved_at = clock_timestamp(),
    attempts = 0, next_attempt_at = null, parked_at = null, reason = null
  where consumer.tenant_id = p_tenant_id and consumer.name = any (p_consumers);
end;
$$;
