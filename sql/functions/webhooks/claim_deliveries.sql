-- Takes deliveries that are due, of each endpoint at most as many as the caller has room for, and leases them to it: until the lease
-- ends nobody else calls about them. A caller that dies renews no lease, and others go on.
--
-- p_rooms belong to p_endpoint_ids; other endpoints have p_other_room (0: only those named). An ordered endpoint is leased as a whole,
-- for what follows its first delivery must not be taken by another process; its deliveries come in the order of the log.
--
-- Locks: the rows it takes, and passes over those that another has locked. Commits without waiting for the disk: a lost lease costs a
-- second call, never an event.
create or replace function webhooks.claim_deliveries(
  p_tenant_id uuid, p_caller uuid, p_lease_ms integer, p_endpoint_ids uuid[], p_rooms integer[], p_other_room integer, p_limit integer
)
returns table (id uuid, endpoint_id uuid, "position" bigint, recorded_at timestamptz, attempts integer, created_at timestamptz)
language plpgsql volatile
set search_path = pg_catalog
-- By the index in its order, whatever the planner believes of a table that grows and empties between two analyses.
set enable_seqscan = off
set enable_sort = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
#variable_conflict use_column
declare
  v_now constant timestamptz := clock_timestamp();
  v_until constant timestamptz := v_now + make_interval(secs => p_lease_ms / 1000.0);
  v_ordered uuid[];
begin
  perform set_config('app.tenant_id', p_tenant_id::text, true);
  perform set_config('synchronous_commit', 'off', true);

  with taken as (
    update webhooks.endpoint
    set leased_by = p_caller, leased_until = v_until
    where endpoint.tenant_id = p_tenant_id and endpoint.status = 'enabled' and endpoint.ordering = 'ordered'
      and (endpoint.resting_until is null or endpoint.resting_until <= v_now)
      and (endpoint.leased_by is null or endpoint.leased_by = p_caller or endpoint.leased_until <= v_now)
      and coalesce((
        select known.room from unnest(p_endpoint_ids, p_rooms) known(id, room) where known.id = endpoint.id
      ), p_other_room) > 0
      and exists (
        select from webhooks.delivery
        where delivery.tenant_id = p_tenant_id and delivery.endpoint_id = endpoint.id and delivery.status = 'pending'
          and delivery.due_at <= v_now
      )
    returning endpoint.id
  )
  select array_agg(taken.id) into v_ordered from taken;

  for id, endpoint_id, position, recorded_at, attempts, created_at in
    select due.id, due.endpoint_id, due.position, due.recorded_at, due.attempts, due.created_at
    from webhooks.endpoint
    left join unnest(p_endpoint_ids, p_rooms) known(id, room) on known.id = endpoint.id
    cross join lateral (
      select delivery.*
      from webhooks.delivery
      where delivery.tenant_id = p_tenant_id and delivery.endpoint_id = endpoint.id and delivery.status = 'pending'
        and delivery.due_at <= v_now
        and (delivery.leased_until is null or delivery.leased_until <= v_now or endpoint.ordering = 'ordered')
      order by delivery.due_at, delivery.position
      limit coalesce(known.room, p_other_room)
      for update skip locked
    ) due
    where endpoint.tenant_id = p_tenant_id and endpoint.status = 'enabled'
      and (endpoint.resting_until is null or endpoint.resting_until <= v_now)
      and (endpoint.ordering = 'parallel' or endpoint.id = any (v_ordered))
    order by due.due_at, due.position
    limit p_limit
  loop
    update webhooks.delivery
    set leased_by = p_caller, leased_until = v_until
    where delivery.tenant_id = p_tenant_id and delivery.id = claim_deliveries.id;
    return next;
  end loop;
end;
$$;
