-- Which of these tenants have an enabled endpoint, and in how many milliseconds something of theirs is due: a delivery that nobody is
-- calling about, or one whose caller has stopped saying that it lives. Each tenant is looked at by itself, within its own wall.
create or replace function webhooks.list_due(p_tenant_ids uuid[])
returns table (tenant_id uuid, due_in_ms integer)
language plpgsql volatile
set search_path = pg_catalog
-- By the index in its order, whatever the planner believes of a table that grows and empties between two analyses.
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
as $$
#variable_conflict use_column
declare
  v_tenant_id uuid;
begin
  foreach v_tenant_id in array p_tenant_ids loop
    perform set_config('app.tenant_id', v_tenant_id::text, true);
    return query
    select v_tenant_id,
      -- greatest and least pass over null, and nothing due is null
      case when min(first.at) is not null then
        greatest(0, least(3600000, ceil(extract(epoch from min(first.at) - clock_timestamp()) * 1000)))::integer
      end
    from webhooks.endpoint
    left join lateral (
      select greatest(delivery.due_at, delivery.leased_until, endpoint.resting_until, endpoint.leased_until) as at
      from webhooks.delivery
      where delivery.tenant_id = v_tenant_id and delivery.endpoint_id = endpoint.id and delivery.status = 'pending'
      order by delivery.due_at, delivery.position
      limit 1
    ) first on true
    where endpoint.tenant_id = v_tenant_id and endpoint.status = 'enabled'
    having count(*) > 0;
  end loop;
end;
$$;
