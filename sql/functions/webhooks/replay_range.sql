-- Makes a delivery of each event after p_after up to p_up_to that an endpoint wants, whatever was delivered before; answers how many.
create or replace function webhooks.replay_range(
  p_tenant_id uuid, p_endpoint_id uuid, p_after bigint, p_up_to bigint
) returns integer
language plpgsql volatile
set search_path = pg_catalog
as $$
declare
  v_count integer;
begin
  insert into webhooks.delivery (
    tenant_id, id, endpoint_id, position, recorded_at, event_id, type, origin, status, attempts, due_at, created_at
  )
  select
    p_tenant_id, webhooks.new_id(), endpoint.id, event.position, event.recorded_at, event.id, event.type, 'replay', 'pending', 0,
    now(), now()
  from log.event
  join webhooks.endpoint on endpoint.tenant_id = p_tenant_id and endpoint.id = p_endpoint_id
    and (endpoint.types is null or event.type = any (endpoint.types))
  where event.tenant_id = p_tenant_id and event.position > p_after and event.position <= p_up_to;
  get diagnostics v_count = row_count;
  return v_count;
end;
$$;
