-- The last position recorded at or before an instant; 0 when there is none. Instants grow with positions, so this is a search within the
-- instant's month: every second step guesses by the rate between the ends, the others halve what is left.
-- All steps are one statement: to start one costs several times what it reads.
create or replace function log.position_at(p_tenant_id uuid, p_instant timestamptz) returns bigint
language plpgsql stable
set search_path = pg_catalog
set plan_cache_mode = force_generic_plan
as $$
declare
  v_head record := log.head(p_tenant_id);
  v_from timestamptz;
  v_to timestamptz;
  v_low record;
  v_high record;
  v_position bigint;
begin
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

  with recursive search(low_position, low_at, high_position, high_at, guesses) as (
    select v_low.position, v_low.recorded_at, v_high.position, v_high.recorded_at, true
    union all
    -- low is recorded by then, high is not
    select
      case when event.is_low then event.position else search.low_position end,
      case when event.is_low then event.recorded_at else search.low_at end,
      case when event.is_low then search.high_position else event.position end,
      case when event.is_low then search.high_at else event.recorded_at end,
      not search.guesses
    from search
    cross join lateral (
      select case
        when search.guesses then search.low_position + floor(
          (search.high_position - search.low_position)
          * (extract(epoch from p_instant - search.low_at) / extract(epoch from search.high_at - search.low_at))
        )::bigint
        else (search.low_position + search.high_position) / 2
      end as position
    ) middle
    cross join lateral (
      select event.position, event.recorded_at, event.recorded_at <= p_instant as is_low
      from log.event
      where event.tenant_id = p_tenant_id and event.recorded_at >= v_from and event.recorded_at < v_to
        and event.position = greatest(search.low_position + 1, least(search.high_position - 1, middle.position))
      limit 1
    ) event
    where search.high_position - search.low_position > 1
  )
  select search.low_position into v_position
  from search
  order by search.high_position - search.low_position
  limit 1;
  return v_position;
end;
$$;
