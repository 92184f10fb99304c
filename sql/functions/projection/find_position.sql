-- How far a projection of a tenant has come, which version of its rows is read, and the head of the log. In the caller's snapshot.
create or replace function projection.find_position(
  p_tenant_id uuid, p_name text, out "position" bigint, out version integer, out head_position bigint
)
language plpgsql stable
set search_path = pg_catalog
as $$
begin
  perform set_config('app.tenant_id', p_tenant_id::text, true);
  select consumer.position, consumer.version into find_position.position, find_position.version
  from log.consumer
  where consumer.tenant_id = p_tenant_id and consumer.name = p_name;
  find_position.position := coalesce(find_position.position, 0);
  find_position.version := coalesce(find_position.version, 1);
  find_position.head_position := (select head.position from log.head(p_tenant_id) head);
end;
$$;
