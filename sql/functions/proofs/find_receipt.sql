-- What proves one transaction: its event, its entries, and the block over it; the block's columns are null while it is not sealed. No row when
-- there is no such transaction. Ids are UUIDv7, so p_recorded_from and p_recorded_to (a day around the id's time) keep the search to one
-- or two partitions.
create or replace function proofs.find_receipt(
  p_tenant_id uuid, p_transaction_id uuid, p_recorded_from timestamptz, p_recorded_to timestamptz
)
returns table (
  "position" bigint, id uuid, type text, subject_id uuid, data json, actor_id uuid, request_id text, occurred_at timestamptz,
  recorded_at timestamptz, entries json, number bigint, first_position bigint, last_position bigint, root bytea, previous_hash bytea,
  closed_at timestamptz, key_id bytea, hash bytea, signature bytea, leaves bytea
)
language plpgsql stable
set search_path = pg_catalog
as $$
begin
  perform set_config('app.tenant_id', p_tenant_id::text, true);
  return query
  select
    event.position, event.id, event.type, event.subject_id, event.data, event.actor_id, event.request_id, event.occurred_at,
    event.recorded_at,
    coalesce(
      (
        select json_agg(
          json_build_object(
            'ordinal', entry.ordinal, 'account_id', entry.account_id, 'layer', entry.layer, 'direction', entry.direction,
            'amount', entry.amount::text, 'effective_at', entry.effective_at, 'recorded_at', entry.recorded_at,
            'expires_at', entry.expires_at
          )
          order by entry.ordinal
        )
        from ledger.entry
        where entry.tenant_id = p_tenant_id and entry.position = event.position and entry.recorded_at >= p_recorded_from
          and entry.recorded_at < p_recorded_to
      ),
      '[]'
    ),
    block.number, block.first_position, block.last_position, block.root, block.previous_hash, block.closed_at, block.key_id, block.hash,
    block.signature, block.leaves
  from log.event
  left join lateral (
    select sealed.*
    from proofs.block sealed
    where sealed.tenant_id = p_tenant_id and sealed.last_position >= event.position
    order by sealed.last_position
    limit 1
  ) block on true
  where event.tenant_id = p_tenant_id and event.subject_id = p_transaction_id
    and event.type in ('ledger.transaction_posted', 'ledger.transaction_held')
    and event.recorded_at >= p_recorded_from and event.recorded_at < p_recorded_to;
end;
$$;
