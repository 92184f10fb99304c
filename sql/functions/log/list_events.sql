-- A tenant's events in order: after p_after and up to p_up_to, at most p_limit, and none after the one at which their data have come to
-- p_max_bytes (null: however many bytes). p_types and p_subject_id null mean all.
-- p_since is an instant that none of them is older than, so that only the partitions from then on are opened; null when it is not known.
create or replace function log.list_events(
  p_tenant_id uuid, p_after bigint, p_up_to bigint, p_since timestamptz, p_limit integer, p_types text[], p_subject_id uuid,
  p_max_bytes bigint default null
)
returns table (
  "position" bigint, id uuid, type text, subject_id uuid, data json, actor_id uuid, request_id text,
  occurred_at timestamptz, recorded_at timestamptz
)
language plpgsql volatile
set search_path = pg_catalog
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
  v_bytes bigint := 0;
begin
  perform set_config('app.tenant_id', p_tenant_id::text, true);
  if p_subject_id is not null then
    for position, id, type, subject_id, data, actor_id, request_id, occurred_at, recorded_at in
    select event.position, event.id, event.type, event.subject_id, event.data, event.actor_id, event.request_id,
      event.occurred_at, event.recorded_at
    from log.event
    where event.tenant_id = p_tenant_id and event.subject_id = p_subject_id
      and event.position > p_after and event.position <= p_up_to
      and event.recorded_at >= coalesce(p_since, '-infinity')
      and (p_types is null or event.type = any (p_types))
    order by event.position
    limit p_limit
    loop
      return next;
      v_bytes := v_bytes + octet_length(list_events.data::text);
      exit when v_bytes >= p_max_bytes;
    end loop;
  else
    for position, id, type, subject_id, data, actor_id, request_id, occurred_at, recorded_at in
    select event.position, event.id, event.type, event.subject_id, event.data, event.actor_id, event.request_id,
      event.occurred_at, event.recorded_at
    from log.event
    where event.tenant_id = p_tenant_id and event.position > p_after and event.position <= p_up_to
      and event.recorded_at >= coalesce(p_since, '-infinity')
      and (p_types is null or event.type = any (p_types))
    order by event.position
    limit p_limit
    loop
      return next;
      v_bytes := v_bytes + octet_length(list_events.data::text);
      exit when v_bytes >= p_max_bytes;
    end loop;
  end if;
end;
$$;
