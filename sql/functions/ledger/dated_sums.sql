-- What the dated entries of an account recorded up to a position (known at p_known_at) had brought by an instant: what had begun to
-- count, and of the holds what had ceased to (expired_…). Without p_with_begun only the latter, and the others are of no use.
-- p_version is that of the projection to read. Sums of a few dozen blocks and the entries after them, whatever the account's history.
create or replace function ledger.dated_sums(
  p_tenant_id uuid, p_version integer, p_account_id uuid, p_position bigint, p_known_at timestamptz, p_instant timestamptz,
  p_with_begun boolean,
  out posted_debits numeric, out posted_credits numeric, out pending_debits numeric, out pending_credits numeric,
  out expired_debits numeric, out expired_credits numeric
)
language plpgsql stable
set search_path = pg_catalog
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  v_position bigint := 0;
  v_recorded_at timestamptz := '-infinity';
  v_sums record;
begin
  posted_debits := 0;
  posted_credits := 0;
  pending_debits := 0;
  pending_credits := 0;
  expired_debits := 0;
  expired_credits := 0;
  for v_level in reverse 2 .. 0 loop
    select
      max(block.end_position) as position, max(block.recorded_at) as recorded_at,
      coalesce(sum(effective.posted_debits), 0) as posted_debits, coalesce(sum(effective.posted_credits), 0) as posted_credits,
      coalesce(sum(effective.pending_debits), 0) as pending_debits, coalesce(sum(effective.pending_credits), 0) as pending_credits,
      coalesce(sum(expiry.pending_debits), 0) as expired_debits, coalesce(sum(expiry.pending_credits), 0) as expired_credits
    into v_sums
    from projection.dated_blocks_v block
    left join lateral (
      select
        sums.posted_debits[at.item] as posted_debits, sums.posted_credits[at.item] as posted_credits,
        sums.pending_debits[at.item] as pending_debits, sums.pending_credits[at.item] as pending_credits
      from projection.dated_sums_v sums
      cross join lateral (select width_bucket(p_instant, sums.instants) as item) at
      where sums.tenant_id = p_tenant_id and sums.version = p_version and sums.account_id = p_account_id and sums.level = v_level
        and sums.end_position = block.end_position and sums.series = 'effective' and sums.first_at <= p_instant
        and p_with_begun
      order by sums.first_at desc
      limit 1
    ) effective on true
    left join lateral (
      select sums.pending_debits[at.item] as pending_debits, sums.pending_credits[at.item] as pending_credits
      from projection.dated_sums_v sums
      cross join lateral (select width_bucket(p_instant, sums.instants) as item) at
      where sums.tenant_id = p_tenant_id and sums.version = p_version and sums.account_id = p_account_id and sums.level = v_level
        and sums.end_position = block.end_position and sums.series = 'expiry' and sums.first_at <= p_instant
      order by sums.first_at desc
      limit 1
    ) expiry on true
    where block.tenant_id = p_tenant_id and block.version = p_version and block.account_id = p_account_id and block.level = v_level
      and block.end_position > v_position and block.end_position <= p_position;
    if v_sums.position is not null then
      v_position := v_sums.position;
      v_recorded_at := v_sums.recorded_at;
      posted_debits := posted_debits + v_sums.posted_debits;
      posted_credits := posted_credits + v_sums.posted_credits;
      pending_debits := pending_debits + v_sums.pending_debits;
      pending_credits := pending_credits + v_sums.pending_credits;
      expired_debits := expired_debits + v_sums.expired_debits;
      expired_credits := expired_credits + v_sums.expired_credits;
    end if;
  end loop;

  select
    coalesce(sum(entry.amount) filter (where entry.layer = 'posted' and entry.direction = 'debit' and counts.begun), 0) as posted_debits,
    coalesce(sum(entry.amount) filter (where entry.layer = 'posted' and entry.direction = 'credit' and counts.begun), 0) as posted_credits,
    coalesce(sum(entry.amount) filter (where entry.layer = 'pending' and entry.direction = 'debit' and counts.begun), 0) as pending_debits,
    coalesce(sum(entry.amount) filter (where entry.layer = 'pending' and entry.direction = 'credit' and counts.begun), 0) as pending_credits,
    coalesce(sum(entry.amount) filter (where entry.direction = 'debit' and counts.ceased), 0) as expired_debits,
    coalesce(sum(entry.amount) filter (where entry.direction = 'credit' and counts.ceased), 0) as expired_credits
  into v_sums
  from ledger.entry
  cross join lateral (
    select least(entry.effective_at, entry.expires_at) <= p_instant as begun, entry.expires_at <= p_instant as ceased
    offset 0
  ) counts
  where entry.tenant_id = p_tenant_id and entry.account_id = p_account_id
    and entry.position > v_position and entry.position <= p_position
    and entry.recorded_at >= v_recorded_at and entry.recorded_at <= p_known_at
    and (entry.effective_at <> entry.recorded_at or entry.expires_at is not null);
  posted_debits := posted_debits + v_sums.posted_debits;
  posted_credits := posted_credits + v_sums.posted_credits;
  pending_debits := pending_debits + v_sums.pending_debits;
  pending_credits := pending_credits + v_sums.pending_credits;
  expired_debits := expired_debits + v_sums.expired_debits;
  expired_credits := expired_credits + v_sums.expired_credits;
end;
$$;
