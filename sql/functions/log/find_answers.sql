-- What requests with these keys were answered: the stored text, or the event from which the answer is rendered. Unknown keys have no row.
create or replace function log.find_answers(p_tenant_id uuid, p_key_hashes uuid[])
returns table (
  key_hash uuid, request_hash uuid, status smallint, body text, subject_id uuid, "position" bigint, data json, effective_at timestamptz,
  recorded_at timestamptz
)
language plpgsql volatile
set search_path = pg_catalog
as $$
begin
  perform set_config('app.tenant_id', p_tenant_id::text, true);
  return query
  select stored.key_hash, stored.request_hash, stored.status, stored.body, event.subject_id, event.position, event.data,
    event.occurred_at, event.recorded_at
  from unnest(p_key_hashes) as wanted(key_hash)
  join log.idempotency_key stored on stored.tenant_id = p_tenant_id and stored.key_hash = wanted.key_hash
  left join log.event on stored.body is null and event.tenant_id = p_tenant_id and event.position = stored.position;
end;
$$;
