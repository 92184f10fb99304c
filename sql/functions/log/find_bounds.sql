-- Where a tenant's log begins and ends; both positions are 0 when it is empty. It begins at 1 unless older months were taken away.
create or replace function log.find_bounds(
  p_tenant_id uuid, out first_position bigint, out head_position bigint
)
language plpgsql volatile
set search_path = pg_catalog
as $$
begin
  perform set_config('app.tenant_id', p_tenant_id::text, true);
  select event.position into first_position
  from log.event
  where event.tenant_id = p_tenant_id
  order by event.position
  limit 1;
  first_position := coalesce(first_position, 0);
  head_position := (select head.position from log.head(p_tenant_id) head);
end;
$$;
