-- Posts plain batches of several tenants in one transaction, so that tenants who post little share a commit, a round trip and the
-- inserts. Plain: postings and holds, no answers and no targets; see ledger.post_transactions for the arrays, which here hold the
-- commands of all tenants one after the other. p_commands_before and p_limited_before say how many there are before each tenant's,
-- p_command_tenants and p_entry_tenants whose each is; p_entry_commands and p_pair_commands count through all of them.
--
-- One row per tenant, in order: the state, first_position, recorded_at and limited_balances of ledger.post_transactions. A state other
-- than `posted` wrote nothing for that tenant, who is then posted alone. A unique violation rolls back all of them.
--
-- p_head_positions and p_head_ids name the event at which the caller knows a log to stand, or expects it to when the call before this one has
-- posted; none of them was recorded before p_heads_since. After that event nothing had halted the tenant, no account had changed
-- beyond p_accounts_positions, and balances were what the caller remembers, who leaves out limits that they meet if it relies on
-- them. If that event is the last, all of it holds, and one look into the log stands for the others: most calls are that look and the
-- inserts, and what is done tenant by tenant is done where there is a doubt or a limit. Null when the caller does not know.
--
-- Locks: each tenant's, until commit. The caller orders the tenants by id, so that two callers never wait for each other. Somebody who keeps
-- a tenant's lock for long keeps all of them waiting, so it fails after a second (lock_not_available), and each is posted alone.
create or replace function ledger.post_batches(
  p_tenant_ids uuid[],
  p_accounts_positions bigint[],
  p_head_positions bigint[],
  p_head_ids uuid[],
  p_heads_since timestamptz,
  p_rely_on_balances boolean[],
  p_commands_before integer[],
  p_limited_before integer[],
  p_command_tenants integer[],
  p_entry_tenants integer[],
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
  c_tenants constant integer := cardinality(p_tenant_ids);
  c_limited constant integer := coalesce(cardinality(p_limited_ids), 0);
  v_tenant_id uuid;
  v_done text;
  v_now timestamptz;
  v_until timestamptz;
  v_head record;
  -- tenants whose logs have grown, or are not known
  v_grown integer[];
  v_has_grown boolean;
  v_checked record;
  v_state text;
  v_limited integer;
  v_last_limited integer;
  -- by tenant; the position of a command is its tenant's base plus its number, and null if the tenant's batch is not posted
  v_states text[] := array_fill('posted'::text, array[c_tenants]);
  v_firsts bigint[];
  v_bases bigint[];
  v_ats timestamptz[];
  v_balances numeric[] := array_fill(null::numeric, array[c_limited]);
begin
  -- Assigned and not performed: such an expression needs no executor.
  if current_setting('lock_timeout')::interval not between interval '1 ms' and interval '1 s' then
    v_done := set_config('lock_timeout', '1s', true);
  end if;
  foreach v_tenant_id in array p_tenant_ids loop
    v_done := pg_advisory_xact_lock(hashtextextended(v_tenant_id::text, 7461));
  end loop;
  v_now := clock_timestamp();
  v_done := set_config('app.batch_tenant_ids', p_tenant_ids::text, true);

  -- One bound for all of them, so that the partitions are chosen once and not for each. What lies beyond it has grown as well.
  v_until := date_trunc('month', v_now) + interval '2 months';
  select
    array_agg(known.number) filter (where known.position is null or newest.id is distinct from known.id),
    array_agg(known.position + 1 order by known.number),
    array_agg(known.position - known.commands_before order by known.number),
    array_agg(greatest(v_now, newest.recorded_at) order by known.number)
  into v_grown, v_firsts, v_bases, v_ats
  from unnest(p_tenant_ids, p_head_positions, p_head_ids, p_commands_before) with ordinality
    as known(tenant_id, position, id, commands_before, number)
  left join lateral (
    select event.id, event.recorded_at
    from log.event
    where event.tenant_id = known.tenant_id and event.position >= known.position
      and event.recorded_at >= p_heads_since and event.recorded_at < v_until
    order by event.position desc
    limit 1
  ) newest on true;

  if v_grown is not null or c_limited > 0 or p_expires_ats is not null then
    for v_tenant in 1 .. c_tenants loop
      v_has_grown := coalesce(v_tenant = any (v_grown), false);
      v_limited := p_limited_before[v_tenant];
      v_last_limited := coalesce(p_limited_before[v_tenant + 1], c_limited);
      continue when not v_has_grown and v_limited = v_last_limited and p_expires_ats is null;
      v_tenant_id := p_tenant_ids[v_tenant];
      v_done := set_config('app.tenant_id', v_tenant_id::text, true);
      v_state := 'posted';
      if v_has_grown then
        select * into v_head from ledger.posting_head(v_tenant_id);
        if v_head.halted then
          v_state := 'halted';
        elsif v_head.accounts_position > p_accounts_positions[v_tenant] then
          v_state := 'accounts_stale';
        elsif p_rely_on_balances[v_tenant]
          and ledger.moved_since(v_tenant_id, p_head_positions[v_tenant], p_head_ids[v_tenant], p_heads_since)
        then
          v_state := 'uncertain';
        end if;
        v_firsts[v_tenant] := v_head.position + 1;
        v_bases[v_tenant] := v_head.position - p_commands_before[v_tenant];
        v_ats[v_tenant] := greatest(v_now, v_head.recorded_at);
      end if;

      -- apart, so that the executor is needed only where something expires
      if p_expires_ats is not null then
        if v_state = 'posted' and exists (
          select
          from unnest(
            p_expires_ats[p_commands_before[v_tenant] + 1 : coalesce(p_commands_before[v_tenant + 1], cardinality(p_expires_ats))]
          ) as expires(at)
          where expires.at <= v_ats[v_tenant]
        ) then
          v_state := 'uncertain';
        end if;
      end if;
      if v_state = 'posted' and v_limited < v_last_limited then
        select * into v_checked
        from ledger.check_limits(
          v_tenant_id, v_ats[v_tenant], p_limited_ids[v_limited + 1 : v_last_limited], p_limited_debit_normals[v_limited + 1 : v_last_limited],
          p_limited_available_mins[v_limited + 1 : v_last_limited], p_limited_posted_maxs[v_limited + 1 : v_last_limited],
          p_limited_worst_outs[v_limited + 1 : v_last_limited], p_limited_worst_ins[v_limited + 1 : v_last_limited]
        );
        v_state := case when v_checked.hold then 'posted' else 'uncertain' end;
        v_balances[v_limited + 1 : v_last_limited] := v_checked.balances;
      end if;
      if v_state <> 'posted' then
        v_states[v_tenant] := v_state;
        v_bases[v_tenant] := null;
      end if;
    end loop;
  end if;

  insert into log.idempotency_key (tenant_id, key_hash, request_hash, status, position)
  select p_tenant_ids[command.tenant], command.key_hash, command.request_hash, 201, v_bases[command.tenant] + command.number
  from unnest(p_command_tenants, p_key_hashes, p_request_hashes) with ordinality as command(tenant, key_hash, request_hash, number)
  where v_bases[command.tenant] is not null;

  insert into log.event (tenant_id, position, id, type, subject_id, data, actor_id, request_id, occurred_at, recorded_at)
  select p_tenant_ids[command.tenant], v_bases[command.tenant] + command.number, command.id, command.type, command.subject_id,
    command.data::json, command.actor_id, command.request_id, coalesce(command.effective_at, v_ats[command.tenant]), v_ats[command.tenant]
  from unnest(
    p_command_tenants, p_event_ids, p_types, p_subject_ids, string_to_array(p_data, chr(30), ''), p_actor_ids, p_request_ids,
    p_effective_ats
  ) with ordinality as command(tenant, id, type, subject_id, data, actor_id, request_id, effective_at, number)
  where v_bases[command.tenant] is not null;

  insert into ledger.entry (
    tenant_id, position, ordinal, account_id, layer, direction, amount, effective_at, recorded_at, expires_at
  )
  select p_tenant_ids[entry.tenant], v_bases[entry.tenant] + entry.command, entry.ordinal, entry.account_id, entry.layer,
    entry.direction, entry.amount, coalesce(entry.effective_at, v_ats[entry.tenant]), v_ats[entry.tenant], entry.expires_at
  from unnest(
    p_entry_tenants, p_entry_commands, p_entry_ordinals, p_entry_account_ids, p_entry_layers, p_entry_directions, p_entry_amounts,
    p_entry_effective_ats, p_entry_expires_ats
  ) as entry(tenant, command, ordinal, account_id, layer, direction, amount, effective_at, expires_at)
  where v_bases[entry.tenant] is not null;

  if p_reference_hashes is not null then
    insert into ledger.reference (tenant_id, reference_hash, transaction_id, position)
    select p_tenant_ids[command.tenant], command.reference_hash, command.subject_id, v_bases[command.tenant] + command.number
    from unnest(p_command_tenants, p_reference_hashes, p_subject_ids) with ordinality
      as command(tenant, reference_hash, subject_id, number)
    where v_bases[command.tenant] is not null and command.reference_hash is not null;
  end if;

  if p_pair_hashes is not null then
    insert into ledger.metadata_pair (tenant_id, pair_hash, position)
    select p_tenant_ids[p_command_tenants[pair.command]], pair.pair_hash, v_bases[p_command_tenants[pair.command]] + pair.command
    from unnest(p_pair_commands, p_pair_hashes) as pair(command, pair_hash)
    where v_bases[p_command_tenants[pair.command]] is not null;
  end if;

  for v_tenant in 1 .. c_tenants loop
    state := v_states[v_tenant];
    first_position := v_firsts[v_tenant];
    recorded_at := v_ats[v_tenant];
    if c_limited > 0 then
      limited_balances := v_balances[p_limited_before[v_tenant] + 1 : coalesce(p_limited_before[v_tenant + 1], c_limited)];
    end if;
    return next;
  end loop;
end;
$$;
