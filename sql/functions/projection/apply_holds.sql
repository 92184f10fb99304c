-- Part of projection.apply_entries: what a slice of the log holds and gives back, under each expiry, and the holds it begins and ends.
-- Sorts what its slice brings: the caller's `enable_sort = off` would make the order come from an index over the whole history.
create or replace function projection.apply_holds(
  p_tenant_id uuid, p_version integer, p_start bigint, p_start_at timestamptz, p_end bigint, p_end_at timestamptz
) returns void
language plpgsql volatile
set search_path = pg_catalog
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_sort = on
set enable_nestloop = on
as $$
begin
  insert into projection.expiring_holds_v as holds (tenant_id, version, account_id, expires_at, pending_debits, pending_credits)
  select
    p_tenant_id, p_version, entry.account_id, entry.expires_at,
    coalesce(sum(entry.amount) filter (where entry.direction = 'debit'), 0),
    coalesce(sum(entry.amount) filter (where entry.direction = 'credit'), 0)
  from ledger.entry
  where entry.tenant_id = p_tenant_id and entry.position > p_start and entry.position <= p_end
    and entry.recorded_at >= p_start_at and entry.recorded_at <= p_end_at
    and entry.expires_at is not null
  group by entry.account_id, entry.expires_at
  on conflict on constraint expiring_holds_v_pkey do update
  set
    pending_debits = holds.pending_debits + excluded.pending_debits,
    pending_credits = holds.pending_credits + excluded.pending_credits;

  delete from projection.expiring_holds_v holds
  using (
    select distinct entry.account_id, entry.expires_at
    from ledger.entry
    where entry.tenant_id = p_tenant_id and entry.position > p_start and entry.position <= p_end
      and entry.recorded_at >= p_start_at and entry.recorded_at <= p_end_at
      and entry.expires_at is not null
  ) touched
  where holds.tenant_id = p_tenant_id and holds.version = p_version and holds.expires_at = touched.expires_at and holds.account_id = touched.account_id
    and holds.pending_debits = 0 and holds.pending_credits = 0;

  insert into projection.open_holds_v (tenant_id, version, transaction_id, position, expires_at)
  select p_tenant_id, p_version, event.subject_id, event.position, held.expires_at
  from (
    select entry.position, max(entry.expires_at) as expires_at
    from ledger.entry
    where entry.tenant_id = p_tenant_id and entry.position > p_start and entry.position <= p_end
      and entry.recorded_at >= p_start_at and entry.recorded_at <= p_end_at
      and entry.layer = 'pending' and entry.amount > 0
    group by entry.position
  ) held
  join log.event on event.tenant_id = p_tenant_id and event.position = held.position
    and event.recorded_at >= p_start_at and event.recorded_at <= p_end_at;

  delete from projection.open_holds_v holds
  using ledger.transaction_link link
  where link.tenant_id = p_tenant_id and link.position > p_start and link.position <= p_end
    and link.final and link.kind in ('capture', 'void', 'expiry')
    and holds.tenant_id = p_tenant_id and holds.version = p_version and holds.transaction_id = link.transaction_id;
end;
$$;
