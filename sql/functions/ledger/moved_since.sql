-- Whether balances may be others than they were after an event: entries came after it, or the log does not have it at that position. Other
-- events than postings move no money. p_at is when the event, or one before it, was recorded. Called under the tenant's lock.
create or replace function ledger.moved_since(p_tenant_id uuid, p_position bigint, p_event_id uuid, p_at timestamptz) returns boolean
language sql stable
set search_path = pg_catalog
begin atomic
  select
    not exists (
      select
      from log.event
      where event.tenant_id = p_tenant_id and event.position = p_position and event.id = p_event_id and event.recorded_at >= p_at
    )
    or exists (
      select
      from ledger.entry
      where entry.tenant_id = p_tenant_id and entry.position > p_position and entry.recorded_at >= p_at
    );
end;
