-- The tenant's last position and its instant; 0 and the beginning of time for an empty log.
-- Looks at this month first (and the next, for a clock that is about to turn): all partitions are only opened for a tenant that has been
-- silent since.
create or replace function log.head(p_tenant_id uuid, out "position" bigint, out recorded_at timestamptz)
language plpgsql stable
set search_path = pg_catalog
as $$
begin
  select event.position, event.recorded_at into head.position, head.recorded_at
  from log.event
  where event.tenant_id = p_tenant_id and event.recorded_at >= date_trunc('month', now())
    and event.recorded_at < date_trunc('month', now()) + interval '2 months'
  order by event.position desc
  limit 1;
  if not found then
    select event.position, event.recorded_at into head.position, head.recorded_at
    from log.event
    where event.tenant_id = p_tenant_id
    order by event.position desc
    limit 1;
  end if;
  if not found then
    head.position := 0;
    head.recorded_at := '-infinity';
  end if;
end;
$$;
