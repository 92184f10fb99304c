-- Where a tenant's next posting goes, and whether it may: the last event (0 and the beginning of time for an empty log), the last change
-- of an account, and whether postings are halted. Called under the tenant's lock.
create or replace function ledger.posting_head(
  p_tenant_id uuid, out "position" bigint, out recorded_at timestamptz, out accounts_position bigint, out halted boolean
)
language plpgsql volatile
set search_path = pg_catalog
as $$
#variable_conflict use_column
begin
  -- The newest event is nearly always of this month; the second month is for a clock that is about to turn.
  select newest.position, newest.recorded_at,
    (select version.position from ledger.account_version version
     where version.tenant_id = p_tenant_id and version.number > 1 order by version.position desc limit 1),
    (select halt.halted from ledger.halt where halt.tenant_id = p_tenant_id order by halt.position desc limit 1)
  into posting_head.position, posting_head.recorded_at, posting_head.accounts_position, posting_head.halted
  from (
    select event.position, event.recorded_at
    from log.event
    where event.tenant_id = p_tenant_id
      and event.recorded_at >= date_trunc('month', now())
      and event.recorded_at < date_trunc('month', now()) + interval '2 months'
    order by event.position desc
    limit 1
  ) newest;
  if not found then
    select head.position, head.recorded_at,
      (select version.position from ledger.account_version version
       where version.tenant_id = p_tenant_id and version.number > 1 order by version.position desc limit 1),
      (select halt.halted from ledger.halt where halt.tenant_id = p_tenant_id order by halt.position desc limit 1)
    into posting_head.position, posting_head.recorded_at, posting_head.accounts_position, posting_head.halted
    from log.head(p_tenant_id) head;
  end if;
end;
$$;
