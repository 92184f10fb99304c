-- Deletes deliveries that finished before an instant, with their attempts. Looks at the next p_limit after p_after in the order of their
-- ids, which is that of their creation, and never at one that was created since p_before. One that is pending stays, however old.
--
-- Answers how many it deleted, and the last that it looked at: p_after of the next call. Null when there are no more.
-- Locks: the rows it deletes, until commit. Commits without waiting for the disk: what is lost of this is deleted the next time.
create or replace function webhooks.prune_deliveries(
  p_tenant_id uuid, p_before timestamptz, p_after uuid, p_limit integer, out deleted integer, out last_id uuid
)
language plpgsql volatile
set search_path = pg_catalog
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
declare
  v_ids uuid[];
  v_old uuid[];
begin
  perform set_config('app.tenant_id', p_tenant_id::text, true);
  perform set_config('synchronous_commit', 'off', true);
  select array_agg(looked_at.id order by looked_at.id),
    array_agg(looked_at.id order by looked_at.id) filter (where looked_at.finished_at < p_before)
  into v_ids, v_old
  from (
    select delivery.id, delivery.finished_at
    from webhooks.delivery
    where delivery.tenant_id = p_tenant_id and delivery.id > p_after and delivery.created_at < p_before
    order by delivery.id
    limit p_limit
  ) looked_at;
  if cardinality(v_ids) = p_limit then
    last_id := v_ids[p_limit];
  end if;

  delete from webhooks.attempt
  where attempt.tenant_id = p_tenant_id and attempt.delivery_id = any (v_old);
  delete from webhooks.delivery
  where delivery.tenant_id = p_tenant_id and delivery.id = any (v_old);
  get diagnostics deleted = row_count;
end;
$$;
