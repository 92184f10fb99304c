-- name: leaf_settings
-- Rows are read in the order of their keys, whatever is thought of their number: the table grows faster than its statistics. Planned once for
-- each connection: planning over all partitions costs more than hashing a small block. Texts are sent as UTF-8, whatever was set before.
select count(set_config(setting.name, setting.value, true)) as settings
from (
  values
    ('enable_seqscan', 'off'), ('enable_bitmapscan', 'off'), ('enable_hashjoin', 'off'), ('enable_nestloop', 'off'), ('enable_hashagg', 'off'),
    ('jit', 'off'), ('max_parallel_workers_per_gather', '0'), ('plan_cache_mode', 'force_generic_plan'), ('client_encoding', 'UTF8')
) setting (name, value);

-- name: leaf_range
-- The leaves of the positions after $after up to $up_to, as docs/proofs.md defines them (version 1) and canonical.ts repeats them: the SHA-256
-- of the event's bytes with its entries', in order, 32 bytes each; zeros for entries without an event. `positions` says whose they are,
-- and is null when each position has exactly one event.
-- $from_at and $to_at keep the search to some partitions. Reads each row once. Locks nothing.
--
-- Written for speed, as every event ever recorded passes through here:
-- - array_send writes each element as its length in 4 bytes and its bytes in UTF-8, after a header of 20 bytes, which is cut off.
-- - numeric_out and byteain make the bytes of an amount without a text between them.
-- - `offset 0` has the leaves made before the sort, which then moves 32 bytes for each event and not all of it.
select
  coalesce(
    string_agg(coalesce(numbered.leaf, decode(repeat('00', 32), 'hex')), '' order by numbered.position, numbered.recorded_at), ''
  ) as leaves,
  case
    when count(numbered.leaf) <> $up_to::bigint - $after::bigint or bool_or(numbered.position <> $after::bigint + numbered.number)
      or count(*) <> count(numbered.leaf)
    then coalesce(array_agg(numbered.position order by numbered.position, numbered.recorded_at), '{}')
  end as positions
from (
  select hashed.*, row_number() over (order by hashed.position, hashed.recorded_at) as number
  from (
    select
      coalesce(event.position, legs.position) as position,
      event.recorded_at,
      sha256(
        '\x0001'::bytea || uuid_send(event.tenant_id) || int8send(event.position) || uuid_send(event.id) || uuid_send(event.subject_id)
        || uuid_send(event.actor_id) || timestamptz_send(event.occurred_at) || timestamptz_send(event.recorded_at)
        || substr(array_send(array[event.type, event.request_id]), 21) || substr(array_send(array[event.data]), 21)
        || int4send(coalesce(legs.entry_count, 0)::integer) || coalesce(legs.bytes, '')
      ) as leaf
    from (
      select event.*
      from log.event
      where event.tenant_id = $tenant_id and event.position > $after::bigint and event.position <= $up_to::bigint
        and event.recorded_at >= $from_at::timestamptz and event.recorded_at <= $to_at::timestamptz
    ) event
    full join (
      select
        entry.position,
        count(*) as entry_count,
        string_agg(
          int4send(entry.ordinal) || uuid_send(entry.account_id)
          || case entry.layer
            when 'posted' then case entry.direction when 'debit' then '\x0000'::bytea when 'credit' then '\x0001' end
            when 'pending' then case entry.direction when 'debit' then '\x0100'::bytea when 'credit' then '\x0101' end
          end
          || int4send(octet_length(byteain(numeric_out(entry.amount)))) || byteain(numeric_out(entry.amount))
          || timestamptz_send(entry.effective_at) || timestamptz_send(entry.recorded_at)
          || case when entry.expires_at is null then '\x00'::bytea else '\x01'::bytea || timestamptz_send(entry.expires_at) end,
          '' order by entry.ordinal, entry.recorded_at
        ) as bytes
      from ledger.entry
      where entry.tenant_id = $tenant_id and entry.position > $after::bigint and entry.position <= $up_to::bigint
        and entry.recorded_at >= $from_at::timestamptz and entry.recorded_at <= $to_at::timestamptz
      group by entry.position
    ) legs on legs.position = event.position
    offset 0
  ) hashed
) numbered;
