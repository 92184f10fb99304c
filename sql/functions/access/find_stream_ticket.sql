-- The key that asked for a ticket, when there is such a ticket for this target that has not expired. It is not used up by that.
create or replace function access.find_stream_ticket(p_tenant_id uuid, p_secret_hash bytea, p_target text) returns table (key_id uuid)
language plpgsql volatile
set search_path = pg_catalog
as $$
#variable_conflict use_column
begin
  perform set_config('app.tenant_id', p_tenant_id::text, true);
  return query
  select stream_ticket.key_id
  from access.stream_ticket
  where stream_ticket.tenant_id = p_tenant_id and stream_ticket.secret_hash = p_secret_hash
    and stream_ticket.target = p_target and stream_ticket.expires_at > clock_timestamp();
end;
$$;
