-- Makes a delivery of each event in the next p_limit positions for each enabled endpoint that wants its type, and moves the consumer
-- `webhooks` there in the same transaction: so each event is queued once. One call is one statement, one transaction.
--
-- Answers what log.begin_slice says, and the position reached.
-- Locks: the consumer's row, until commit. Not the tenant's, so posting goes on meanwhile.
-- Commits without waiting for the disk: what is lost of this, deliveries and position together, is queued again.
create or replace function webhooks.queue_deliveries(
  p_tenant_id uuid, p_consumer text, p_limit integer,
  out state text, out "position" bigint, out head_position bigint, out retry_ms integer
)
language plpgsql volatile
set search_path = pg_catalog
as $$
declare
  v_slice record;
begin
  perform set_config('synchronous_commit', 'off', true);
  select * into v_slice from log.begin_slice(p_tenant_id, p_consumer, p_limit);
  state := v_slice.state;
  position := v_slice.up_to_position;
  head_position := v_slice.head_position;
  retry_ms := v_slice.retry_ms;
  if v_slice.state <> 'slice' then
    return;
  end if;
  -- When the last one was disabled a moment ago the log is not even read.
  if exists (select from webhooks.endpoint where endpoint.tenant_id = p_tenant_id and endpoint.status = 'enabled') then
    insert into webhooks.delivery (
      tenant_id, id, endpoint_id, position, recorded_at, event_id, type, origin, status, attempts, due_at, created_at
    )
    select
      p_tenant_id, webhooks.new_id(), endpoint.id, event.position, event.recorded_at, event.id, event.type, 'log', 'pending', 0,
      now(), now()
    from log.event
    join webhooks.endpoint on endpoint.tenant_id = p_tenant_id and endpoint.status = 'enabled'
      and endpoint.from_position < event.position
      and (endpoint.types is null or event.type = any (endpoint.types))
    where event.tenant_id = p_tenant_id and event.position > v_slice.after_position
      and event.position <= v_slice.up_to_position
      and event.recorded_at >= v_slice.after_at and event.recorded_at <= v_slice.up_to_at;
  end if;
  perform log.end_slice(p_tenant_id, array[p_consumer], v_slice.up_to_position, v_slice.up_to_at);
end;
$$;
