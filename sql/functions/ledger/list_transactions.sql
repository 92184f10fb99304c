-- Ids of a tenant's transactions that pass all filters, newest first, at most p_limit, before p_before_position. Nulls do not filter.
-- The most selective filter drives: a reference, then a metadata pair, an account, accounts by prefix, an end of holds, else the log.
-- Positions and ids are answered; ledger.find_transactions has the rest. Custom plans, so that absent filters cost nothing.
create or replace function ledger.list_transactions(
  p_tenant_id uuid,
  p_limit integer,
  p_before_position bigint,
  p_reference_hash uuid,
  p_pair_hashes uuid[],
  p_account_id uuid,
  p_account_prefix text,
  p_status text,
  p_effective_from timestamptz,
  p_effective_to timestamptz,
  p_recorded_from timestamptz,
  p_recorded_to timestamptz,
  p_amount_min numeric,
  p_amount_max numeric
)
returns table (id uuid, "position" bigint)
language plpgsql volatile
set search_path = pg_catalog
set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
declare
  v_from bigint := 1;
  v_to bigint := coalesce(p_before_position - 1, 9223372036854775807);
begin
  perform set_config('app.tenant_id', p_tenant_id::text, true);
  -- Instants of recording grow with positions, so a range of them is a range of the log.
  if p_recorded_from is not null then
    v_from := log.position_at(p_tenant_id, p_recorded_from - interval '1 microsecond') + 1;
  end if;
  if p_recorded_to is not null then
    v_to := least(v_to, log.position_at(p_tenant_id, p_recorded_to));
  end if;
  return query
  select event.subject_id, event.position
  from log.event
  where event.tenant_id = p_tenant_id
    and event.type in ('ledger.transaction_posted', 'ledger.transaction_held')
    and event.position between v_from and v_to
    and (p_reference_hash is null or event.position in (
      select reference.position from ledger.reference
      where reference.tenant_id = p_tenant_id and reference.reference_hash = p_reference_hash
    ))
    and (p_pair_hashes is null or event.position in (
      select pair.position from ledger.metadata_pair pair
      where pair.tenant_id = p_tenant_id and pair.pair_hash = any (p_pair_hashes) and pair.position between v_from and v_to
      group by pair.position having count(*) = cardinality(p_pair_hashes)
    ))
    -- A release of a hold, which is negative, is no entry of the capture that gives the rest back.
    and (p_account_id is null or exists (
      select from ledger.entry
      where entry.tenant_id = p_tenant_id and entry.account_id = p_account_id and entry.position = event.position
        and entry.amount > 0
    ))
    and (p_account_prefix is null or exists (
      select from ledger.entry
      join ledger.account on account.tenant_id = p_tenant_id and account.id = entry.account_id
      where entry.tenant_id = p_tenant_id and entry.position = event.position and entry.amount > 0
        and starts_with(account.code, p_account_prefix)
    ))
    and (p_effective_from is null or event.occurred_at >= p_effective_from)
    and (p_effective_to is null or event.occurred_at <= p_effective_to)
    and (
      (p_amount_min is null and p_amount_max is null)
      or exists (
        select from ledger.entry
        where entry.tenant_id = p_tenant_id and entry.position = event.position and entry.amount > 0
          and (p_amount_min is null or entry.amount >= p_amount_min)
          and (p_amount_max is null or entry.amount <= p_amount_max)
      )
    )
    and (
      p_status is null
      or p_status = ledger.transaction_status(p_tenant_id, event.subject_id, event.type, event.data)
    )
  order by event.position desc
  limit p_limit;
end;
$$;
