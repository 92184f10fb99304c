-- Records calls that were made, gives back leases, and notes which endpoints fail. The arrays of calls belong together, and so do those
-- of endpoints. A call whose lease another process has taken meanwhile is not recorded: that one calls again, and records its own.
--
-- p_statuses: what the delivery is now · p_due_ats: when a pending one is due again (null: as before, for its endpoint rests)
-- p_released: deliveries that were leased and not called about
-- p_idle: the caller has nothing more for this endpoint in its hands, so an ordered one may be taken by anybody
-- Answers the endpoints that have failed since p_failing_before, so that they can be disabled.
-- Locks: the deliveries, then the endpoints in the order of their ids, so that two processes do not wait for each other in a circle.
-- Commits without waiting for the disk: what is lost of this costs a second call, never an event.
create or replace function webhooks.record_attempts(
  p_tenant_id uuid, p_caller uuid,
  p_ids uuid[], p_numbers integer[], p_statuses text[], p_due_ats timestamptz[], p_started_ats timestamptz[],
  p_durations_ms integer[], p_status_codes smallint[], p_faults text[], p_details text[], p_answers text[],
  p_released uuid[],
  p_endpoint_ids uuid[], p_failing boolean[], p_resting_untils timestamptz[], p_idle boolean[], p_failing_before timestamptz
)
returns table (endpoint_id uuid)
language plpgsql volatile
set search_path = pg_catalog
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
#variable_conflict use_column
declare
  v_released uuid;
begin
  perform set_config('app.tenant_id', p_tenant_id::text, true);
  perform set_config('synchronous_commit', 'off', true);

  -- One by one by their keys: joined, a table that grows and empties between two analyses is read as a whole.
  for v_at in 1 .. cardinality(p_ids) loop
    update webhooks.delivery
    set status = p_statuses[v_at], attempts = p_numbers[v_at], due_at = coalesce(p_due_ats[v_at], delivery.due_at),
      leased_by = null, leased_until = null,
      finished_at = case when p_statuses[v_at] <> 'pending' then clock_timestamp() end
    where delivery.tenant_id = p_tenant_id and delivery.id = p_ids[v_at] and delivery.leased_by = p_caller;
    if found then
      insert into webhooks.attempt (
        tenant_id, delivery_id, number, started_at, duration_ms, status_code, fault, detail, answer
      )
      values (
        p_tenant_id, p_ids[v_at], p_numbers[v_at], p_started_ats[v_at], p_durations_ms[v_at], p_status_codes[v_at],
        p_faults[v_at], p_details[v_at], p_answers[v_at]
      );
    end if;
  end loop;

  foreach v_released in array p_released loop
    update webhooks.delivery
    set leased_by = null, leased_until = null
    where delivery.tenant_id = p_tenant_id and delivery.id = v_released and delivery.leased_by = p_caller;
  end loop;

  -- Most calls succeed at endpoints that do not fail: nothing changes there.
  return query
  with told as materialized (
    select each.*
    from unnest(p_endpoint_ids, p_failing, p_resting_untils, p_idle) each(id, is_failing, resting_until, is_idle)
    join webhooks.endpoint on endpoint.tenant_id = p_tenant_id and endpoint.id = each.id
    where (endpoint.failing_since is not null) <> each.is_failing
      or endpoint.resting_until is distinct from each.resting_until
      or (each.is_idle and endpoint.leased_by = p_caller)
      or endpoint.failing_since <= p_failing_before
    order by each.id
    for no key update of endpoint
  )
  update webhooks.endpoint
  set failing_since = case when told.is_failing then coalesce(endpoint.failing_since, clock_timestamp()) end,
    resting_until = told.resting_until,
    leased_by = case when not told.is_idle then endpoint.leased_by end,
    leased_until = case when not told.is_idle then endpoint.leased_until end
  from told
  where endpoint.tenant_id = p_tenant_id and endpoint.id = told.id
  returning case when endpoint.failing_since <= p_failing_before and endpoint.status = 'enabled' then endpoint.id end;
end;
$$;
