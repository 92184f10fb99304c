-- Records that a consumer has failed at the position after p_failed_at (null: wherever it stands): it rests, longer each time, and at the p_max_attempts-th failure
-- it is parked. p_jitter, from 0 to 1, spreads those that failed together.
-- Answers nulls when it stands elsewhere by now; is_new when this failure has parked it.
-- Locks: the consumer's row, until commit.
create or replace function log.fail_slice(
  p_tenant_id uuid, p_consumer text, p_failed_at bigint, p_reason text,
  p_max_attempts integer, p_first_retry_ms integer, p_max_retry_ms integer, p_jitter numeric,
  out "position" bigint, out attempts integer, out retry_ms integer, out parked_at timestamptz, out is_new boolean
)
language plpgsql volatile
set search_path = pg_catalog
as $$
#variable_conflict use_column
declare
  v_consumer log.consumer;
begin
  perform set_config('app.tenant_id', p_tenant_id::text, true);
  -- The transaction that failed may have been the one to create it.
  insert into log.consumer (tenant_id, name, position, recorded_at, moved_at)
  values (p_tenant_id, p_consumer, 0, '-infinity', clock_timestamp())
  on conflict do nothing;
  select * into v_consumer
  from log.consumer
  where consumer.tenant_id = p_tenant_id and consumer.name = p_consumer
    and (p_failed_at is null or consumer.position = p_failed_at)
  for update;
  if not found then
    return;
  end if;
  fail_slice.position := v_consumer.position;
  fail_slice.attempts := v_consumer.attempts + 1;
  fail_slice.retry_ms := least(p_max_retry_ms, p_first_retry_ms * power(2, least(v_consumer.attempts, 20))) * (0.5 + p_jitter / 2);
  fail_slice.parked_at := v_consumer.parked_at;
  fail_slice.is_new := v_consumer.parked_at is null and fail_slice.attempts >= p_max_attempts;
  if fail_slice.is_new then
    fail_slice.parked_at := clock_timestamp();
  end if;
  update log.consumer
  set attempts = fail_slice.attempts, parked_at = fail_slice.parked_at, reason = p_reason,
    next_attempt_at = clock_timestamp() + make_interval(secs => fail_slice.retry_ms / 1000.0)
  where consumer.tenant_id = p_tenant_id and consumer.name = p_consumer;
end;
$$;
