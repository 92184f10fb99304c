-- Up to which position what was recorded by p_known_position, or by p_known_at, counts (both null: all that is recorded), and an instant at
-- which that position was the last one. A p_known_position beyond the head counts up to the head. The caller has set the tenant.
create or replace function ledger.find_known_position(
  p_tenant_id uuid, p_known_position bigint, p_known_at timestamptz,
  out head_position bigint, out head_at timestamptz, out "position" bigint, out known_at timestamptz
)
language plpgsql stable
set search_path = pg_catalog
as $$
declare
  v_head record;
begin
  select * into v_head from log.head(p_tenant_id);
  head_position := v_head.position;
  head_at := v_head.recorded_at;
  if p_known_at is not null then
    position := log.position_at(p_tenant_id, p_known_at);
    known_at := p_known_at;
  elsif p_known_position < v_head.position then
    position := p_known_position;
    known_at := coalesce(
      (select event.recorded_at from log.event where event.tenant_id = p_tenant_id and event.position = p_known_position), '-infinity'
    );
  else
    position := v_head.position;
    known_at := v_head.recorded_at;
  end if;
end;
$$;
