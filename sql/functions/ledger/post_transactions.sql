-- Posts a batch of commands of one tenant: one call is one statement, one transaction, one round trip.
--
-- A command is an event with its entries (a posting, a hold, a capture, a void, an expiry, a reversal), or only the answer to a key
-- (p_types null: `p_answers` with `p_answer_statuses`). Commands are seen in order; each succeeds or fails on its own, unless p_atomic.
-- The caller has checked shape and balance, and resolved accounts as of p_accounts_position and targets as of p_target_numbers; what
-- may have changed since is checked again here, under the tenant's lock.
--
-- Arrays of one length belong together: commands (p_key_hashes …), entries (p_entry_…), metadata pairs (p_pair_…), distinct limited
-- accounts (p_limited_…) and the effects of commands on these (p_effect_…, ordered by command). Indexes count from 1. An array that
-- would hold only nulls may itself be null. p_answers and p_data are JSON texts joined by the record separator, empty for null.
-- Amounts are minor units; effects are in the account's normal direction.
--
-- The optimistic path posts all commands with one plain insert per table. Where that may be wrong it writes nothing and says
-- `uncertain`, or fails with a unique violation (idempotency_key_pkey, reference_taken, transaction_link_pkey): the caller repeats with
-- p_exact. The exact path decides command by command, then writes what it accepted with the same inserts.
--
-- Limits on the optimistic path: the accounts in p_limited_… are summed here, and their balances before the batch are answered
-- (null for one with holds). The caller may leave out accounts that have no holds, whose balance it knows as of an event (p_balances_position,
-- p_balances_event_id; recorded at p_balances_at or later) and has checked itself: that holds if no entry came after it.
--
-- Answers `state`:
--   posted          every command, at contiguous positions from first_position (commands without event take none)
--   mixed           see `outcomes`: posted, answered, replayed, refused_before, key_reused, target_changed, reference_taken, insufficient_funds,
--                   limit_exceeded; with the account and its available or posted balance, or the transaction that has the reference
--   refused         the same, and p_atomic: nothing was written
--   uncertain       decide with p_exact, and all limited accounts: nothing was written
--   accounts_stale  an account has changed since p_accounts_position: nothing was written
--   halted          the tenant's postings are halted: nothing was written
-- With p_dry_run, which goes with p_exact, nothing is written in any case.
--
-- Locks: the tenant's, until commit.
create or replace function ledger.post_transactions(
  p_tenant_id uuid,
  p_accounts_position bigint,
  p_balances_position bigint,
  p_balances_event_id uuid,
  p_balances_at timestamptz,
  p_exact boolean,
  p_atomic boolean,
  p_dry_run boolean,
  p_key_hashes uuid[],
  p_request_hashes uuid[],
  p_answer_statuses smallint[],
  p_answers text,
  p_event_ids uuid[],
  p_types text[],
  p_subject_ids uuid[],
  p_data text,
  p_actor_ids uuid[],
  p_request_ids text[],
  p_effective_ats timestamptz[],
  p_reference_hashes uuid[],
  p_target_ids uuid[],
  p_target_numbers integer[],
  p_target_kinds text[],
  p_target_finals boolean[],
  p_target_expires_ats timestamptz[],
  p_entry_commands integer[],
  p_entry_ordinals integer[],
  p_entry_account_ids uuid[],
  p_entry_layers ledger.layer[],
  p_entry_directions ledger.direction[],
  p_entry_amounts numeric[],
  p_entry_effective_ats timestamptz[],
  p_entry_expires_ats timestamptz[],
  p_pair_commands integer[],
  p_pair_hashes uuid[],
  p_limited_ids uuid[],
  p_limited_debit_normals boolean[],
  p_limited_available_mins numeric[],
  p_limited_posted_maxs numeric[],
  p_limited_worst_outs numeric[],
  p_limited_worst_ins numeric[],
  p_effect_commands integer[],
  p_effect_limiteds integer[],
  p_effect_availables numeric[],
  p_effect_posteds numeric[],
  p_effect_checkeds boolean[],
  out state text,
  out first_position bigint,
  out recorded_at timestamptz,
  out positions bigint[],
  out outcomes text[],
  out outcome_account_ids uuid[],
  out outcome_balances numeric[],
  out outcome_transaction_ids uuid[],
  out limited_balances numeric[]
)
language plpgsql volatile
set search_path = pg_catalog
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
  v_count integer := cardinality(p_key_hashes);
  v_head bigint;
  v_last_recorded_at timestamptz;
  v_accounts_position bigint;
  v_halted boolean;
  v_positions bigint[];
  v_answers text[] := string_to_array(p_answers, chr(30), '');
  v_data text[] := string_to_array(p_data, chr(30), '');
  v_hold boolean;
  v_decision record;
begin
  perform set_config('app.tenant_id', p_tenant_id::text, true);
  perform pg_advisory_xact_lock(hashtextextended(p_tenant_id::text, 7461));

  select head.position, head.recorded_at, head.accounts_position, head.halted
  into v_head, v_last_recorded_at, v_accounts_position, v_halted
  from ledger.posting_head(p_tenant_id) head;

  if v_halted then
    state := 'halted';
    return;
  end if;
  if v_accounts_position > p_accounts_position then
    state := 'accounts_stale';
    return;
  end if;

  recorded_at := greatest(clock_timestamp(), v_last_recorded_at);
  first_position := v_head + 1;

  if not p_exact then
    if (p_target_ids is not null or p_target_expires_ats is not null)
      and not ledger.targets_unchanged(p_tenant_id, p_target_ids, p_target_numbers, p_target_expires_ats, recorded_at)
    then
      state := 'uncertain';
      return;
    end if;
    if p_balances_position is not null
      and ledger.moved_since(p_tenant_id, p_balances_position, p_balances_event_id, p_balances_at)
    then
      state := 'uncertain';
      return;
    end if;
    if p_limited_ids is not null then
      select checked.hold, checked.balances into v_hold, limited_balances
      from ledger.check_limits(
        p_tenant_id, recorded_at, p_limited_ids, p_limited_debit_normals, p_limited_available_mins, p_limited_posted_maxs,
        p_limited_worst_outs, p_limited_worst_ins
      ) checked;
      if not v_hold then
        state := 'uncertain';
        return;
      end if;
    end if;
    state := 'posted';
    if p_answers is null then
      v_positions := array(select generate_series(first_position, v_head + v_count));
    else
      v_positions := array(
        select case when command.type is not null then v_head + sum((command.type is not null)::integer) over (order by command.number) end
        from unnest(p_types) with ordinality as command(type, number)
        order by command.number
      );
    end if;
  else
    state := 'mixed';
    select * into v_decision
    from ledger.decide_transactions(
      p_tenant_id, v_head, recorded_at, p_key_hashes, p_request_hashes, p_types, p_subject_ids, p_reference_hashes,
      p_target_ids, p_target_numbers, p_target_expires_ats,
      p_limited_ids, p_limited_debit_normals, p_limited_available_mins, p_limited_posted_maxs,
      p_effect_commands, p_effect_limiteds, p_effect_availables, p_effect_posteds, p_effect_checkeds
    );
    positions := v_decision.positions;
    outcomes := v_decision.outcomes;
    outcome_account_ids := v_decision.account_ids;
    outcome_balances := v_decision.balances;
    outcome_transaction_ids := v_decision.transaction_ids;
    if p_atomic and exists (
      select from unnest(outcomes) outcome where outcome not in ('posted', 'answered', 'replayed')
    ) then
      state := 'refused';
      return;
    end if;
    v_positions := v_decision.positions;
    if p_answers is not null then
      v_answers := array(
        select case when decided.outcome in ('posted', 'answered') then decided.answer end
        from unnest(outcomes, v_answers) with ordinality as decided(outcome, answer, number)
        order by decided.number
      );
    end if;
  end if;

  if p_dry_run then
    return;
  end if;

  insert into log.idempotency_key (tenant_id, key_hash, request_hash, status, position, body)
  select p_tenant_id, command.key_hash, command.request_hash, coalesce(command.status, 201), command.position, command.answer
  from unnest(v_positions, p_key_hashes, p_request_hashes, p_answer_statuses, v_answers)
    as command(position, key_hash, request_hash, status, answer)
  where command.position is not null or command.answer is not null;

  insert into log.event (tenant_id, position, id, type, subject_id, data, actor_id, request_id, occurred_at, recorded_at)
  select p_tenant_id, command.position, command.id, command.type, command.subject_id, command.data::json, command.actor_id,
    command.request_id, coalesce(command.effective_at, post_transactions.recorded_at), post_transactions.recorded_at
  from unnest(v_positions, p_event_ids, p_types, p_subject_ids, v_data, p_actor_ids, p_request_ids, p_effective_ats)
    as command(position, id, type, subject_id, data, actor_id, request_id, effective_at)
  where command.position is not null;

  insert into ledger.entry (
    tenant_id, position, ordinal, account_id, layer, direction, amount, effective_at, recorded_at, expires_at
  )
  select p_tenant_id, v_positions[entry.command], entry.ordinal, entry.account_id, entry.layer, entry.direction, entry.amount,
    coalesce(entry.effective_at, post_transactions.recorded_at), post_transactions.recorded_at, entry.expires_at
  from unnest(
    p_entry_commands, p_entry_ordinals, p_entry_account_ids, p_entry_layers, p_entry_directions, p_entry_amounts,
    p_entry_effective_ats, p_entry_expires_ats
  ) as entry(command, ordinal, account_id, layer, direction, amount, effective_at, expires_at)
  where v_positions[entry.command] is not null;

  if p_reference_hashes is not null then
    insert into ledger.reference (tenant_id, reference_hash, transaction_id, position)
    select p_tenant_id, command.reference_hash, command.subject_id, command.position
    from unnest(v_positions, p_reference_hashes, p_subject_ids) as command(position, reference_hash, subject_id)
    where command.position is not null and command.reference_hash is not null;
  end if;

  if p_target_ids is not null then
    insert into ledger.transaction_link (tenant_id, transaction_id, number, kind, by_transaction_id, position, final)
    select p_tenant_id, command.target_id, command.number, command.kind,
      case when command.kind in ('capture', 'reversal') then command.subject_id end, command.position, command.final
    from unnest(v_positions, p_target_ids, p_target_numbers, p_target_kinds, p_target_finals, p_subject_ids)
      as command(position, target_id, number, kind, final, subject_id)
    where command.position is not null and command.target_id is not null;
  end if;

  if p_pair_hashes is not null then
    insert into ledger.metadata_pair (tenant_id, pair_hash, position)
    select p_tenant_id, pair.pair_hash, v_positions[pair.command]
    from unnest(p_pair_commands, p_pair_hashes) as pair(command, pair_hash)
    where v_positions[pair.command] is not null;
  end if;
end;
$$;
