-- Part of ledger.prove: where the projected holds, by expiry and by transaction, are not what the entries and links up to a position say.
create or replace function projection.differing_holds(p_tenant_id uuid, p_version integer, p_position bigint, p_recorded_at timestamptz)
returns table (name text, account_id uuid, what text, expected text, found text)
language sql stable
set search_path = pg_catalog
begin atomic
  with ending as materialized (
    select entry.position, entry.account_id, entry.direction, entry.amount, entry.expires_at
    from ledger.entry
    where entry.tenant_id = p_tenant_id and entry.position <= p_position and entry.expires_at is not null
  ),
  expiring as (
    select
      ending.account_id, ending.expires_at,
      array[
        coalesce(sum(ending.amount) filter (where ending.direction = 'debit'), 0),
        coalesce(sum(ending.amount) filter (where ending.direction = 'credit'), 0)
      ] as sums
    from ending
    where ending.expires_at > p_recorded_at
    group by ending.account_id, ending.expires_at
  ),
  projected as (
    select holds.account_id, holds.expires_at, array[holds.pending_debits, holds.pending_credits] as sums
    from projection.expiring_holds_v holds
    where holds.tenant_id = p_tenant_id and holds.version = p_version
  ),
  opened as (
    select event.subject_id as transaction_id, event.position, ends.expires_at
    from log.event
    left join (select distinct ending.position, ending.expires_at from ending) ends on ends.position = event.position
    where event.tenant_id = p_tenant_id and event.position <= p_position and event.type = 'ledger.transaction_held'
      and not exists (
        select
        from ledger.transaction_link link
        where link.tenant_id = p_tenant_id and link.transaction_id = event.subject_id and link.position <= p_position
          and link.final and link.kind in ('capture', 'void', 'expiry')
      )
  ),
  projected_open as (
    select holds.transaction_id, holds.position, holds.expires_at from projection.open_holds_v holds
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
    concat_ws(' ', opened.transaction_id, opened.expires_at), concat_ws(' ', projected_open.transaction_id, projected_open.expires_at)
  from opened
  full join projected_open on projected_open.transaction_id = opened.transaction_id
  where (opened.position, opened.expires_at) is distinct from (projected_open.position, projected_open.expires_at);
end;
