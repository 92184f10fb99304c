-- The statement of an account, by id or code: its posted entries in the order of the log, each with the account's posted sums right after
-- it. No row when there is no such account; one with nulls, but for the head of the log, when nothing is to be shown.
--
-- At most p_limit entries after the one at p_after_position and p_after_ordinal (nulls: from the first), oldest first or, with
-- p_descending, newest first. Ranges are inclusive, null is open; they choose entries, and do not change their sums.
-- The sums start from checkpoints: the last page costs what the first does. Entries with a business time of their own are looked
-- through in the order of the log for a range of p_effective_*.
create or replace function ledger.list_entries(
  p_tenant_id uuid, p_account_id uuid, p_code text, p_after_position bigint, p_after_ordinal integer, p_descending boolean,
  p_effective_from timestamptz, p_effective_to timestamptz, p_recorded_from timestamptz, p_recorded_to timestamptz, p_limit integer
)
returns table (
  account_type text, currency text, scale smallint, "position" bigint, ordinal integer, transaction_id uuid, direction ledger.direction,
  amount numeric, posted_debits numeric, posted_credits numeric, effective_at timestamptz, recorded_at timestamptz, data json,
  head_position bigint
)
language plpgsql stable
set search_path = pg_catalog
as $$
#variable_conflict use_column
declare
  v_version integer;
  v_head bigint;
  v_account record;
  v_low bigint := 0;
  v_high bigint := 9223372036854775807;
  v_live_low bigint := 0;
  v_live_high bigint := 9223372036854775807;
  v_source text := 'ledger.entry';
  v_positions bigint[];
  v_ordinals integer[];
  v_recorded_ats timestamptz[];
begin
  perform set_config('app.tenant_id', p_tenant_id::text, true);
  if p_account_id is not null then
    select account.id, account.type, account.currency, account.scale into v_account
    from ledger.account
    where account.tenant_id = p_tenant_id and account.id = p_account_id;
  else
    select account.id, account.type, account.currency, account.scale into v_account
    from ledger.account
    where account.tenant_id = p_tenant_id and account.code = p_code;
  end if;
  if not found then
    return;
  end if;
  v_head := (select head.position from log.head(p_tenant_id) head);

  -- Instants of recording grow with positions, so a range of them is a range of the log.
  if p_recorded_from is not null then
    v_low := log.position_at(p_tenant_id, p_recorded_from - interval '1 microsecond');
  end if;
  if p_recorded_to is not null then
    v_high := log.position_at(p_tenant_id, p_recorded_to);
  end if;
  if p_after_position is not null and p_descending then
    v_high := least(v_high, p_after_position);
  elsif p_after_position is not null then
    v_low := greatest(v_low, p_after_position - 1);
  end if;

  -- Entries that are not dated took effect when they were recorded; the others have an index of their own.
  if p_effective_from is not null or p_effective_to is not null then
    if p_effective_from is not null then
      v_live_low := log.position_at(p_tenant_id, p_effective_from - interval '1 microsecond');
    end if;
    if p_effective_to is not null then
      v_live_high := log.position_at(p_tenant_id, p_effective_to);
    end if;
    v_source := format(
      $source$(
        (
          select * from ledger.entry
          where tenant_id = $1 and account_id = $2 and position > greatest($3, $9) and position <= least($4, $10) and layer = 'posted'
            and effective_at = recorded_at and expires_at is null
            and ($5 is null or (position, ordinal) %1$s ($5, $6))
          order by position %2$s, ordinal %2$s limit $7
        )
        union all
        (
          select * from ledger.entry
          where tenant_id = $1 and account_id = $2 and position > $3 and position <= $4 and layer = 'posted'
            and (effective_at <> recorded_at or expires_at is not null)
            and effective_at between coalesce($8, '-infinity') and coalesce($11, 'infinity')
            and ($5 is null or (position, ordinal) %1$s ($5, $6))
          order by position %2$s, ordinal %2$s limit $7
        )
      )$source$,
      case when p_descending then '<' else '>' end, case when p_descending then 'desc' else 'asc' end
    );
  end if;
  execute format(
    $statement$
    select array_agg(position), array_agg(ordinal), array_agg(recorded_at)
    from (
      select position, ordinal, recorded_at
      from %1$s entry
      where tenant_id = $1 and account_id = $2 and position > $3 and position <= $4 and layer = 'posted'
        and ($5 is null or (position, ordinal) %2$s ($5, $6))
      order by position %3$s, ordinal %3$s
      limit $7
    ) page
    $statement$,
    v_source, case when p_descending then '<' else '>' end, case when p_descending then 'desc' else 'asc' end
  )
  into v_positions, v_ordinals, v_recorded_ats
  using p_tenant_id, v_account.id, v_low, v_high, p_after_position, p_after_ordinal, p_limit,
    p_effective_from, v_live_low, v_live_high, p_effective_to;

  if v_positions is null then
    return query select v_account.type, v_account.currency, v_account.scale, null::bigint, null::integer, null::uuid,
      null::ledger.direction, null::numeric, null::numeric, null::numeric, null::timestamptz, null::timestamptz, null::json, v_head;
    return;
  end if;

  select consumer.version into v_version
  from log.consumer
  where consumer.tenant_id = p_tenant_id and consumer.name = 'balances';
  return query
  with line as (
    select * from unnest(v_positions, v_ordinals, v_recorded_ats) as line(position, ordinal, recorded_at)
  ),
  -- from one checkpoint to the last line that builds on it
  span as (
    select
      coalesce(checkpoint.position, 0) as base_position, coalesce(checkpoint.recorded_at, '-infinity') as base_at,
      coalesce(checkpoint.posted_debits, 0) as posted_debits, coalesce(checkpoint.posted_credits, 0) as posted_credits,
      max(line.position) as last_position
    from line
    left join lateral (
      select checkpoint.position, checkpoint.recorded_at, checkpoint.posted_debits, checkpoint.posted_credits
      from projection.balance_checkpoints_v checkpoint
      where checkpoint.tenant_id = p_tenant_id and checkpoint.version = v_version and checkpoint.account_id = v_account.id
        and checkpoint.recorded_at <= line.recorded_at and checkpoint.position < line.position
      order by checkpoint.recorded_at desc, checkpoint.position desc
      limit 1
    ) checkpoint on true
    group by checkpoint.position, checkpoint.recorded_at, checkpoint.posted_debits, checkpoint.posted_credits
  ),
  running as (
    select
      entry.position, entry.ordinal, entry.direction, entry.amount, entry.effective_at, entry.recorded_at,
      span.posted_debits + coalesce(sum(entry.amount) filter (where entry.direction = 'debit') over so_far, 0) as posted_debits,
      span.posted_credits + coalesce(sum(entry.amount) filter (where entry.direction = 'credit') over so_far, 0) as posted_credits
    from span
    join ledger.entry on entry.tenant_id = p_tenant_id and entry.account_id = v_account.id
      and entry.position > span.base_position and entry.position <= span.last_position and entry.recorded_at >= span.base_at
      and entry.layer = 'posted'
    window so_far as (partition by span.base_position order by entry.position, entry.ordinal)
  )
  select
    v_account.type, v_account.currency, v_account.scale, running.position, running.ordinal, event.subject_id, running.direction,
    running.amount, running.posted_debits, running.posted_credits, running.effective_at, running.recorded_at, event.data,
    v_head
  from line
  join running on running.position = line.position and running.ordinal = line.ordinal
  join log.event on event.tenant_id = p_tenant_id and event.position = running.position and event.recorded_at = running.recorded_at
  order by
    case when p_descending then -running.position else running.position end,
    case when p_descending then -running.ordinal else running.ordinal end;
end;
$$;
