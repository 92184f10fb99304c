-- Posts plain batches of several tenants in one transaction, so that tenants who post little share a commit, a round trip and the
-- inserts. Plain: postings and holds, no answers and no targets; see ledger.post_transactions for the arrays, which here hold the
-- commands of all tenants one after the other. p_command_counts and p_limited_counts say how many are whose; p_entry_commands and
-- p_pair_commands count through all of them.
--
-- One row per tenant, in order: the state, first_position, recorded_at and limited_balances of ledger.post_transactions. A state other
-- than `posted` wrote nothing for that tenant, who is then posted alone. A unique violation rolls back all of them.
--
-- Locks: each tenant's, until commit. The caller orders the tenants by id, so that two callers never wait for each other.
create or replace function ledger.post_batches(
  p_tenant_ids uuid[],
  p_accounts_positions bigint[],
  p_balances_positions bigint[],
  p_balances_ats timestamptz[],
  p_command_counts integer[],
  p_limited_counts integer[],
  p_key_hashes uuid[],
  p_request_hashes uuid[],
  p_event_ids uuid[],
  p_types text[],
  p_subject_ids uuid[],
  p_data text,
  p_actor_ids uuid[],
  p_request_ids text[],
  p_effective_ats timestamptz[],
  p_reference_hashes uuid[],
  p_expires_ats timestamptz[],
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
  p_limited_worst_ins numeric[]
)
returns table (state text, first_position bigint, recorded_at timestamptz, limited_balances numeric[])
language plpgsql volatile
set search_path = pg_catalog
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  v_tenant_id uuid;
  v_head record;
  v_checked record;
  v_at timestamptz;
  v_states text[] := array[]::text[];
  v_firsts bigint[] := array[]::bigint[];
  v_ats timestamptz[] := array[]::timestamptz[];
  v_balances numeric[] := array[]::numeric[];
  v_positions bigint[] := array_fill(null::bigint, array[cardinality(p_key_hashes)]);
  v_tenant_ids uuid[] := array_fill(null::uuid, array[cardinality(p_key_hashes)]);
  v_recorded_ats timestamptz[] := array_fill(null::timestamptz, array[cardinality(p_key_hashes)]);
  v_command integer := 0;
  v_limited integer := 0;
  v_last_limited integer;
  v_state text;
begin
  for v_tenant in 1 .. cardinality(p_tenant_ids) loop
    v_tenant_id := p_tenant_ids[v_tenant];
    v_last_limited := v_limited + p_limited_counts[v_tenant];
    perform set_config('app.tenant_id', v_tenant_id::text, true);
    perform pg_advisory_xact_lock(hashtextextended(v_tenant_id::text, 7461));
    select * into v_head from ledger.posting_head(v_tenant_id);
    v_at := greatest(clock_timestamp(), v_head.recorded_at);

    v_state := 'posted';
    if v_head.halted then
      v_state := 'halted';
    elsif v_head.accounts_position > p_accounts_positions[v_tenant] then
      v_state := 'accounts_stale';
    elsif p_balances_positions[v_tenant] < v_head.position and exists (
      select
      from ledger.entry
      where entry.tenant_id = v_tenant_id and entry.position > p_balances_positions[v_tenant]
        and entry.recorded_at >= p_balances_ats[v_tenant]
    ) then
      v_state := 'uncertain';
    elsif p_expires_ats is not null and exists (
      select
      from unnest(p_expires_ats[v_command + 1 : v_command + p_command_counts[v_tenant]]) as expires(at)
      where expires.at <= v_at
    ) then
      v_state := 'uncertain';
    elsif v_limited < v_last_limited then
      select * into v_checked
      from ledger.check_limits(
        v_tenant_id, v_at, p_limited_ids[v_limited + 1 : v_last_limited], p_limited_debit_normals[v_limited + 1 : v_last_limited],
        p_limited_available_mins[v_limited + 1 : v_last_limited], p_limited_posted_maxs[v_limited + 1 : v_last_limited],
        p_limited_worst_outs[v_limited + 1 : v_last_limited], p_limited_worst_ins[v_limited + 1 : v_last_limited]
      );
      v_state := case when v_checked.hold then 'posted' else 'uncertain' end;
      v_balances := v_balances || v_checked.balances;
    end if;

    if cardinality(v_balances) < v_last_limited then
      v_balances := v_balances || array_fill(null::numeric, array[v_last_limited - cardinality(v_balances)]);
    end if;
    v_states := v_states || v_state;
    v_firsts := v_firsts || (v_head.position + 1);
    v_ats := v_ats || v_at;
    if v_state = 'posted' then
      for v_number in 1 .. p_command_counts[v_tenant] loop
        v_positions[v_command + v_number] := v_head.position + v_number;
        v_tenant_ids[v_command + v_number] := v_tenant_id;
        v_recorded_ats[v_command + v_number] := v_at;
      end loop;
    end if;
    v_command := v_command + p_command_counts[v_tenant];
    v_limited := v_last_limited;
  end loop;

  perform set_config('app.batch_tenant_ids', p_tenant_ids::text, true);

  insert into log.idempotency_key (tenant_id, key_hash, request_hash, status, position)
  select command.tenant_id, command.key_hash, command.request_hash, 201, command.position
  from unnest(v_tenant_ids, v_positions, p_key_hashes, p_request_hashes) as command(tenant_id, position, key_hash, request_hash)
  where command.position is not null;

  insert into log.event (tenant_id, position, id, type, subject_id, data, actor_id, request_id, occurred_at, recorded_at)
  select command.tenant_id, command.position, command.id, command.type, command.subject_id, command.data::json, command.actor_id,
    command.request_id, coalesce(command.effective_at, command.recorded_at), command.recorded_at
  from unnest(
    v_tenant_ids, v_positions, v_recorded_ats, p_event_ids, p_types, p_subject_ids, string_to_array(p_data, chr(30), ''), p_actor_ids,
    p_request_ids, p_effective_ats
  ) as command(tenant_id, position, recorded_at, id, type, subject_id, data, actor_id, request_id, effective_at)
  where command.position is not null;

  insert into ledger.entry (
    tenant_id, position, ordinal, account_id, layer, direction, amount, effective_at, recorded_at, expires_at
  )
  select v_tenant_ids[entry.command], v_positions[entry.command], entry.ordinal, entry.account_id, entry.layer, entry.direction,
    entry.amount, coalesce(entry.effective_at, v_recorded_ats[entry.command]), v_recorded_ats[entry.command], entry.expires_at
  from unnest(
    p_entry_commands, p_entry_ordinals, p_entry_account_ids, p_entry_layers, p_entry_directions, p_entry_amounts,
    p_entry_effective_ats, p_entry_expires_ats
  ) as entry(command, ordinal, account_id, layer, direction, amount, effective_at, expires_at)
  where v_positions[entry.command] is not null;

  if p_reference_hashes is not null then
    insert into ledger.reference (tenant_id, reference_hash, transaction_id, position)
    select command.tenant_id, command.reference_hash, command.subject_id, command.position
    from unnest(v_tenant_ids, v_positions, p_reference_hashes, p_subject_ids)
      as command(tenant_id, position, reference_hash, subject_id)
    where command.position is not null and command.reference_hash is not null;
  end if;

  if p_pair_hashes is not null then
    insert into ledger.metadata_pair (tenant_id, pair_hash, position)
    select v_tenant_ids[pair.command], pair.pair_hash, v_positions[pair.command]
    from unnest(p_pair_commands, p_pair_hashes) as pair(command, pair_hash)
    where v_positions[pair.command] is not null;
  end if;

  v_limited := 0;
  for v_tenant in 1 .. cardinality(p_tenant_ids) loop
    v_last_limited := v_limited + p_limited_counts[v_tenant];
    state := v_states[v_tenant];
    first_position := v_firsts[v_tenant];
    recorded_at := v_ats[v_tenant];
    limited_balances := v_balances[v_limited + 1 : v_last_limited];
    return next;
    v_limited := v_last_limited;
  end loop;
end;
$$;
