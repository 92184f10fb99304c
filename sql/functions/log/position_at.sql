-- The last position recorded at or before an instant; 0 when there is none. Instants grow with positions, so this is a search within the
-- instant's month: every second step guesses by the rate between the ends, the others halve what is left.
create or replace function log.position_at(p_tenant_id uuid, p_instant timestamptz) returns bigint
language plpgsql stable
set search_path = pg_catalog
set plan_cache_mode = force_generic_plan
as $$
declare
  v_head record;
  v_from timestamptz;
  v_to timestamptz;
  v_low record;
  v_high record;
  v_middle record;
  v_guess boolean := true;
  v_position bigint;
begin
  select * into v_head from log.head(p_tenant_id);
  if p_instant >= v_head.recorded_at then
    return v_head.position;
  end if;
  v_from := date_trunc('month', p_instant, 'UTC');
  v_to := v_from + interval '1 month';

  select event.position, event.recorded_at into v_low
  from log.event
  where event.tenant_id = p_tenant_id and event.recorded_at >= v_from and event.recorded_at < v_to
  order by event.position
  limit 1;
  if v_low.position is null or v_low.recorded_at > p_instant then
    select event.position into v_position
    from log.event
    where event.tenant_id = p_tenant_id and event.recorded_at < v_from
    order by event.position desc
    limit 1;
    return coalesce(v_position, 0);
  end if;
  select event.position, event.recorded_at into v_high
  from log.event
  where event.tenant_id = p_tenant_id and event.recorded_at >= v_from and event.recorded_at < v_to
  order by event.position desc
  limit 1;
  if v_high.recorded_at <= p_instant then
    return v_high.position;
  end if;

  -- low is recorded by then, high is not
  while v_high.position - v_low.position > 1 loop
    if v_guess then
      v_position := v_low.position + floor(
        (v_high.position - v_low.position)
        * (extract(epoch from p_instant - v_low.recorded_at) / extract(epoch from v_high.recorded_at - v_low.recorded_at))
      )::bigint;
      v_position := greatest(v_low.position + 1, least(v_high.position - 1, v_position));
    else
      v_position := (v_low.position + v_high.position) / 2;
    end if;
    v_guess := not v_guess;
    select event.position, event.recorded_at into v_middle
    from log.event
    where event.tenant_id = p_tenant_id and event.position = v_position
      and event.recorded_at >= v_from and event.recorded_at < v_to;
    if v_middle.recorded_at <= p_instant then
      v_low := v_middle;
    else
      v_high := v_middle;
    end if;
  end loop;
  return v_low.position;
end;
$$;
