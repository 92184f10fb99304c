-- Begins a slice of a consumer: what it has to apply next, at most p_limit positions. Its position moves by log.end_slice, in the
-- transaction that applies the slice.
--
-- Answers the state:
--   slice      apply the positions after after_position up to up_to_position
--   caught_up  it stands at the head of the log
--   busy       another process is at it
--   resting    it has failed here, and is tried again in retry_ms
--   parked     it has failed here too often, and waits for somebody to resume it
-- and the version of the rows that it reads and writes.
--
-- One plan for all: made for each call, which looks at fewer partitions, it would cost more than all else here.
-- Locks: the consumer's row, until commit, and never waits for it. Not the tenant's, so posting goes on meanwhile.
create or replace function log.begin_slice(
  p_tenant_id uuid, p_consumer text, p_limit integer,
  out state text,
  out after_position bigint, out after_at timestamptz, out up_to_position bigint, out up_to_at timestamptz,
  out head_position bigint, out retry_ms integer, out version integer
)
language plpgsql volatile
set search_path = pg_catalog
set plan_cache_mode = force_generic_plan
as $$
declare
  v_consumer log.consumer;
  v_head record;
begin
  perform set_config('app.tenant_id', p_tenant_id::text, true);
  select * into v_consumer
  from log.consumer
  where consumer.tenant_id = p_tenant_id and consumer.name = p_consumer
  for update skip locked;
  if not found then
    insert into log.consumer (tenant_id, name, position, recorded_at, moved_at)
    values (p_tenant_id, p_consumer, 0, '-infinity', clock_timestamp())
    on conflict do nothing
    returning * into v_consumer;
    if not found then
      state := 'busy';
      return;
    end if;
  end if;

  select * into v_head from log.head(p_tenant_id);
  after_position := v_consumer.position;
  after_at := v_consumer.recorded_at;
  up_to_position := v_consumer.position;
  up_to_at := v_consumer.recorded_at;
  head_position := v_head.position;
  version := v_consumer.version;
  if v_consumer.parked_at is not null then
    state := 'parked';
    return;
  end if;
  if v_consumer.next_attempt_at > clock_timestamp() then
    state := 'resting';
    retry_ms := ceil(extract(epoch from v_consumer.next_attempt_at - clock_timestamp()) * 1000);
    return;
  end if;
  if v_head.position <= v_consumer.position then
    state := 'caught_up';
    return;
  end if;

  state := 'slice';
  up_to_position := least(v_head.position, v_consumer.position + p_limit);
  up_to_at := v_head.recorded_at;
  if up_to_position < v_head.position then
    select event.recorded_at into up_to_at
    from log.event
    where event.tenant_id = p_tenant_id and event.position = up_to_position
      and event.recorded_at >= v_consumer.recorded_at and event.recorded_at <= v_head.recorded_at;
  end if;
end;
$$;
