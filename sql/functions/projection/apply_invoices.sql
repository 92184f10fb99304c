-- Carries invoices forward by at most p_limit positions (projection.add_invoices), by themselves; usually they go along with balances
-- (projection.apply_entries). One call is one transaction; answers what log.begin_slice says, and the position reached.
--
-- Locks: the consumer's row, until commit.
-- Commits without waiting for the disk: what is lost of this, rows and position together, is applied again.
create or replace function projection.apply_invoices(
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
  perform projection.add_invoices(
    p_tenant_id, v_slice.version, v_slice.after_position, v_slice.after_at, v_slice.up_to_position, v_slice.up_to_at
  );
  perform log.end_slice(p_tenant_id, array[p_consumer], v_slice.up_to_position, v_slice.up_to_at);
end;
$$;
