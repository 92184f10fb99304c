-- Transactions by id, each with what happened to it since and its entries summed per account and side: `own` are its own entries, the
-- others those of its captures, releases and reversals. Missing ids have no row.
-- Ids are UUIDv7, so p_recorded_from and p_recorded_to (a day around the ids' time) keep the search to one or two partitions.
create or replace function ledger.find_transactions(
  p_tenant_id uuid, p_ids uuid[], p_recorded_from timestamptz, p_recorded_to timestamptz
)
returns table (
  id uuid, "position" bigint, type text, data json, effective_at timestamptz, recorded_at timestamptz, links json, lines json,
  observed_at timestamptz
)
language plpgsql volatile
set search_path = pg_catalog
as $$
begin
  perform set_config('app.tenant_id', p_tenant_id::text, true);
  return query
  select event.subject_id, event.position, event.type, event.data, event.occurred_at, event.recorded_at,
    coalesce(followed.links, '[]'::json), coalesce(summed.lines, '[]'::json), clock_timestamp()
  from log.event
  left join lateral (
    select
      json_agg(
        json_build_object('number', link.number, 'kind', link.kind, 'by_transaction_id', link.by_transaction_id, 'final', link.final)
        order by link.number
      ) as links,
      array_agg(link.position) as positions,
      min(link.position) as first_position
    from ledger.transaction_link link
    where link.tenant_id = p_tenant_id and link.transaction_id = event.subject_id
  ) followed on true
  left join lateral (
    select json_agg(
      json_build_object(
        'account_id', line.account_id, 'layer', line.layer, 'direction', line.direction, 'own', line.own, 'amount', line.amount::text
      )
      order by line.first_ordinal
    ) as lines
    from (
      select entry.account_id, entry.layer, entry.direction, entry.position = event.position as own, sum(entry.amount) as amount,
        min(entry.ordinal) as first_ordinal
      from ledger.entry
      where entry.tenant_id = p_tenant_id
        and entry.position = any (event.position || followed.positions)
        and entry.recorded_at >= event.recorded_at
      group by entry.account_id, entry.layer, entry.direction, entry.position = event.position
    ) line
  ) summed on true
  where event.tenant_id = p_tenant_id
    and event.subject_id = any (p_ids)
    and event.type in ('ledger.transaction_posted', 'ledger.transaction_held')
    and event.recorded_at >= p_recorded_from
    and event.recorded_at < p_recorded_to;
end;
$$;
