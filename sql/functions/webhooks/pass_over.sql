-- Moves the consumer `webhooks` to the heads of the logs of tenants without an enabled endpoint, for which there is nothing to queue.
-- Each tenant is looked at by itself, within its own wall. Answers each that it got to: how far it has come, and whether it has an
-- enabled endpoint; then it was not moved.
--
-- The head is read before the endpoints are looked for, so an endpoint that is created meanwhile begins after the position reached.
-- Locks: the consumers' rows, until commit; it passes over what another process is at. Not the tenants', so posting goes on meanwhile.
-- Commits without waiting for the disk: what is lost of this is passed over again.
create or replace function webhooks.pass_over(p_tenant_ids uuid[])
returns table (tenant_id uuid, "position" bigint, is_wanted boolean)
language plpgsql volatile
set search_path = pg_catalog
as $$
#variable_conflict use_column
declare
  v_slice record;
begin
  perform set_config('synchronous_commit', 'off', true);
  foreach pass_over.tenant_id in array p_tenant_ids loop
    select * into v_slice from log.begin_slice(pass_over.tenant_id, 'webhooks', 2147483647);
    pass_over.position := v_slice.up_to_position;
    pass_over.is_wanted := exists (
      select from webhooks.endpoint where endpoint.tenant_id = pass_over.tenant_id and endpoint.status = 'enabled'
    );
    if pass_over.is_wanted then
      pass_over.position := v_slice.after_position;
    elsif v_slice.state = 'slice' then
      perform log.end_slice(pass_over.tenant_id, array['webhooks'], v_slice.up_to_position, v_slice.up_to_at);
    end if;
    return next;
  end loop;
end;
$$;
