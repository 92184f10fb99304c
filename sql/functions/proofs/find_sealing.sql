-- How far a tenant's log is sealed: the head of the log, the position of the consumer `blocks`, and up to 20 positions that no log has: of
-- events and entries at or before 0, and of entries after the head.
create or replace function proofs.find_sealing(
  p_tenant_id uuid, out head_position bigint, out sealed_position bigint, out stray_positions bigint[]
)
language plpgsql stable
set search_path = pg_catalog
as $$
begin
  perform set_config('app.tenant_id', p_tenant_id::text, true);
  sealed_position := coalesce(
    (select consumer.position from log.consumer where consumer.tenant_id = p_tenant_id and consumer.name = 'blocks'), 0
  );
  head_position := (select head.position from log.head(p_tenant_id) head);
  stray_positions := array(
    (select event.position from log.event where event.tenant_id = p_tenant_id and event.position <= 0 limit 20)
    union
    (select entry.position from ledger.entry where entry.tenant_id = p_tenant_id and entry.position <= 0 limit 20)
    union
    (
      select entry.position
      from ledger.entry
      where entry.tenant_id = p_tenant_id and entry.position > head_position
      order by entry.position
      limit 20
    )
    order by 1
    limit 20
  );
end;
$$;
