-- Of these tenants and consumers, those with something to do: behind the head of their tenant's log, or parked. Each tenant is looked
-- at by itself, within its own wall.
create or replace function log.list_lagging(p_tenant_ids uuid[], p_consumers text[])
returns table (tenant_id uuid, name text, "position" bigint, head_position bigint, is_parked boolean)
language plpgsql volatile
set search_path = pg_catalog
as $$
#variable_conflict use_column
declare
  v_tenant_id uuid;
  v_head record;
begin
  foreach v_tenant_id in array p_tenant_ids loop
    perform set_config('app.tenant_id', v_tenant_id::text, true);
    select * into v_head from log.head(v_tenant_id);
    return query
    select v_tenant_id, wanted.name, coalesce(consumer.position, 0), v_head.position, consumer.parked_at is not null
    from unnest(p_consumers) wanted(name)
    left join log.consumer on consumer.tenant_id = v_tenant_id and consumer.name = wanted.name
    where coalesce(consumer.position, 0) < v_head.position or consumer.parked_at is not null;
  end loop;
end;
$$;
