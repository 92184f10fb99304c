-- The newest rebuild of each of these projections in some tenants (with p_order_id: the newest that this order has begun), and how many
-- positions it has done of those that it had to do when it began. Each tenant is looked at by itself, within its own wall.
create or replace function projection.list_newest_rebuilds(p_tenant_ids uuid[], p_projections text[], p_order_id uuid)
returns table (
  tenant_id uuid, projection text, state text, positions_done bigint, positions_to_do bigint, difference_count bigint
)
language plpgsql volatile
set search_path = pg_catalog
as $$
#variable_conflict use_column
declare
  v_tenant_id uuid;
begin
  foreach v_tenant_id in array p_tenant_ids loop
    perform set_config('app.tenant_id', v_tenant_id::text, true);
    return query
    select
      v_tenant_id, wanted.name, newest.state,
      case
        when newest.state = 'swapped' then counted.positions
        else least(counted.positions, greatest(0, case when newest.state = 'running' then beside.position else newest.ended_position end - newest.from_position))
      end,
      counted.positions, newest.difference_count
    from unnest(p_projections) wanted(name)
    cross join lateral (
      select rebuild.state, rebuild.from_position, rebuild.to_position, rebuild.ended_position, rebuild.difference_count
      from projection.rebuild
      where rebuild.tenant_id = v_tenant_id and rebuild.projection = wanted.name and (p_order_id is null or rebuild.order_id = p_order_id)
      order by rebuild.number desc
      limit 1
    ) newest
    cross join lateral (select greatest(0, newest.to_position - newest.from_position) as positions) counted
    left join log.consumer beside on beside.tenant_id = v_tenant_id and beside.name = wanted.name || ':rebuild';
  end loop;
end;
$$;
