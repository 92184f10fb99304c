-- Records calls that were made, gives back leases, and notes which endpoints fail. The arrays of calls belong together, and so do those
-- of endpoints. A call whose lease another process has taken meanwhile is not recorded: that one calls again, and records its own.
--
-- p_statuses: what the delivery is now · p_due_ats: when a pending one is due again (null: as before, for its endpoint rests)
-- p_released: deliveries that were leased and not called about
-- p_idle: the caller has nothing more for this endpoint in its hands, so an ordered one may be taken by anybody
-- Answers the endpoints that have failed since p_failing_before, so that they can be disabled.
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
set jit = off
as $$
#variable_conflict use_column
begin
  perform set_config('app.tenant_id', p_tenant_id::text, true);
  perform set_config('synchronous_commit', 'off', true);

  with call as materialized (
    select * from unnest(
      p_ids, p_numbers, p_statuses, p_due_ats, p_started_ats, p_durations_ms, p_status_codes, p_faults, p_details, p_answers
    ) each(id, number, status, due_at, started_at, duration_ms, status_code, fault, detail, answer)
  ),
  recorded as (
    update webhooks.delivery
    set status = call.status, attempts = call.number, due_at = coalesce(call.due_at, delivery.due_at),
      leased_by = null, leased_until = null,
      finished_at = case when call.status <> 'pending' then clock_timestamp() end
    from call
    where delivery.tenant_id = p_tenant_id and delivery.id = call.id and delivery.status = 'pending'
      and delivery.leased_by = p_caller
    returning delivery.id
  )
  insert into webhooks.attempt (tenant_id, delivery_id, number, started_at, duration_ms, status_code, fault, detail, answer)
  select p_tenant_id, call.id, call.number, call.started_at, call.duration_ms, call.status_code, call.fault, call.detail, call.answer
  from call
  join recorded on recorded.id = call.id;

  update webhooks.delivery
  set leased_by = null, leased_until = null
  where delivery.tenant_id = p_tenant_id and delivery.id = any (p_released) and delivery.leased_by = p_caller
    and delivery.status = 'pending';

  -- Most calls succeed at endpoints that do not fail: nothing changes there.
  return query
  update webhooks.endpoint
  set failing_since = case when told.is_failing then coalesce(endpoint.failing_since, clock_timestamp()) end,
    resting_until = told.resting_until,
    leased_by = case when not told.is_idle then endpoint.leased_by end,
    leased_until = case when not told.is_idle then endpoint.leased_until end
  from unnest(p_endpoint_ids, p_failing, p_resting_untils, p_idle) told(id, is_failing, resting_until, is_idle)
  where endpoint.tenant_id = p_tenant_id and endpoint.id = told.id
    and (
      (endpoint.failing_since is not null) <> told.is_failing
      or endpoint.resting_until is distinct from told.resting_until
      or (told.is_idle and endpoint.leased_by = p_caller)
      or endpoint.failing_since <= p_failing_before
    )
  returning case when endpoint.failing_since <= p_failing_before and endpoint.status = 'enabled' then endpoint.id end;
end;
$$;
