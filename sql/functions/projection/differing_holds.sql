-- Part of ledger.prove: where the projected holds, by expiry and by transaction, are not what the entries and links up to a position say.
create or replace function projection.differing_holds(p_tenant_id uuid, p_version integer, p_position bigint, p_recorded_at timestamptz)
returns table (name text, account_id uuid, what text, expected text, found text)
language sql stable
set search_path = pg_catalog
begin atomic
  with expiring as (
    select
      entry.account_id, entry.expires_at,
      array[
        coalesce(sum(entry.amount) filter (where entry.direction = 'debit'), 0),
        coalesce(sum(entry.amount) filter (where entry.direction = 'credit'), 0)
      ] as sums
    from ledger.entry
    where entry.tenant_id = p_tenant_id and entry.position <= p_position and entry.expires_at > p_recorded_at
    group by entry.account_id, entry.expires_at
  ),
  projected as (
    select holds.account_id, holds.expires_at, array[holds.pending_debits, holds.pending_credits] as sums
    from projection.expiring_holds_v holds
    where holds.tenant_id = p_tenant_id and holds.version = p_version
  ),
  opened as (
    select event.subject_id as transaction_id, event.position
    from log.event
    where event.tenant_id = p_tenant_id and event.position <= p_position and event.type = 'ledger.transaction_held'
      and not exists (
        select
        from ledger.transaction_link link
        where link.tenant_id = p_tenant_id and link.transaction_id = event.subject_id and link.position <= p_position
          and link.final and link.kind in ('capture', 'void', 'expiry')
      )
  ),
  projected_open as (
    select holds.transaction_id, holds.position from projection.open_holds_v holds
    where holds.tenant_id = p_tenant_id and holds.version = p_version
  )
  select
    'expiring_holds_v', coalesce(expiring.account_id, projected.account_id),
    format('held until %s', coalesce(expiring.expires_at, projected.expires_at)), expiring.sums::text, projected.sums::text
  from (select * from expiring where expiring.sums <> array[0, 0]::numeric[]) expiring
  full join projected on projected.account_id = expiring.account_id and projected.expires_at = expiring.expires_at
  where expiring.sums is distinct from projected.sums
  union all
  select 'open_holds_v', null, format('hold at position %s', coalesce(opened.position, projected_open.position)),
    opened.transaction_id::text, projected_open.transaction_id::text
  from opened
  full join projected_open on projected_open.transaction_id = opened.transaction_id
  where opened.position is distinct from projected_open.position;
end;
