-- The last position recorded at or before an instant; 0 when there is none. Instants grow with positions, so this is a binary search.
create or replace function log.position_at(p_tenant_id uuid, p_instant timestamptz) returns bigint
language plpgsql stable
set search_path = pg_catalog
as $$
declare
  v_low bigint := 0;
  v_high bigint := (select head.position from log.head(p_tenant_id) head);
  v_middle bigint;
  v_recorded_at timestamptz;
begin
  while v_low < v_high loop
    v_middle := (v_low + v_high + 1) / 2;
    select event.recorded_at into v_recorded_at
    from log.event
    where event.tenant_id = p_tenant_id and event.position = v_middle;
    if v_recorded_at <= p_instant then
      v_low := v_middle;
    else
      v_high := v_middle - 1;
    end if;
  end loop;
  return v_low;
end;
$$;
