-- Decides a batch command by command, in order, under the tenant's lock; writes nothing. See ledger.post_transactions for the arrays.
-- Precedence: key_reused, replayed or refused_before (the key's answer is a refusal), target_changed, reference_taken, insufficient_funds, limit_exceeded. An effect that does not
-- worsen its account is never refused. A reference is taken by a command that is posted before it in the batch, too. The caller guarantees
-- that keys are distinct within the batch, and that targets are, or are numbered one after the other.
create or replace function ledger.decide_transactions(
  p_tenant_id uuid,
  p_head bigint,
  p_now timestamptz,
  p_key_hashes uuid[],
  p_request_hashes uuid[],
  p_types text[],
  p_subject_ids uuid[],
  p_reference_hashes uuid[],
  p_target_ids uuid[],
  p_target_numbers integer[],
  p_target_expires_ats timestamptz[],
  p_limited_ids uuid[],
  p_limited_debit_normals boolean[],
  p_limited_available_mins numeric[],
  p_limited_posted_maxs numeric[],
  p_effect_commands integer[],
  p_effect_limiteds integer[],
  p_effect_availables numeric[],
  p_effect_posteds numeric[],
  p_effect_checkeds boolean[],
  out positions bigint[],
  out outcomes text[],
  out account_ids uuid[],
  out balances numeric[],
  out transaction_ids uuid[]
)
language plpgsql volatile
set search_path = pg_catalog
as $$
declare
  v_availables numeric[];
  v_posteds numeric[];
  v_count integer := cardinality(p_key_hashes);
  v_next bigint := p_head;
  v_effect integer := 1;
  v_effect_count integer := coalesce(cardinality(p_effect_commands), 0);
  v_first_effect integer;
  v_limited integer;
  -- by the first command with a reference: the one that was posted with it
  v_referents integer[];
  v_command record;
begin
  positions := array_fill(null::bigint, array[v_count]);
  outcomes := array_fill(null::text, array[v_count]);
  account_ids := array_fill(null::uuid, array[v_count]);
  balances := array_fill(null::numeric, array[v_count]);
  transaction_ids := array_fill(null::uuid, array[v_count]);
  v_referents := array_fill(null::integer, array[v_count]);

  if p_limited_ids is not null then
    select array_agg(normal.posted - normal.held_out order by limited.number), array_agg(normal.posted order by limited.number)
    into v_availables, v_posteds
    from unnest(p_limited_ids, p_limited_debit_normals) with ordinality as limited(account_id, debit_normal, number)
    join ledger.limited_balances(p_tenant_id, p_limited_ids, p_now) balance on balance.account_id = limited.account_id
    cross join lateral (
      select
        case when limited.debit_normal then balance.posted_debits - balance.posted_credits
          else balance.posted_credits - balance.posted_debits end as posted,
        case when limited.debit_normal then balance.pending_credits else balance.pending_debits end as held_out
    ) normal;
  end if;

  for v_command in
    select command.number, command.type, stored.request_hash as stored_request_hash, stored.status as stored_status,
      command.request_hash,
      taken.transaction_id as taken_by,
      case when command.reference_hash is not null then min(command.number) over (partition by command.reference_hash) end as referent,
      coalesce(command.target_expires_at <= p_now, false) or exists (
        select
        from ledger.transaction_link link
        where link.tenant_id = p_tenant_id and link.transaction_id = command.target_id and link.number >= command.target_number
      ) as target_changed
    from unnest(
      p_key_hashes, p_request_hashes, p_types, p_reference_hashes, p_target_ids, p_target_numbers, p_target_expires_ats
    ) with ordinality
      as command(key_hash, request_hash, type, reference_hash, target_id, target_number, target_expires_at, number)
    left join lateral (
      select idempotency_key.request_hash, idempotency_key.status
      from log.idempotency_key
      where idempotency_key.tenant_id = p_tenant_id and idempotency_key.key_hash = command.key_hash
    ) stored on true
    left join lateral (
      select reference.transaction_id
      from ledger.reference
      where reference.tenant_id = p_tenant_id and reference.reference_hash = command.reference_hash
    ) taken on true
    order by command.number
  loop
    v_first_effect := v_effect;
    while v_effect <= v_effect_count and p_effect_commands[v_effect] = v_command.number loop
      v_effect := v_effect + 1;
    end loop;

    if v_command.stored_request_hash is not null then
      outcomes[v_command.number] :=
        case
          when v_command.stored_request_hash <> v_command.request_hash then 'key_reused'
          when v_command.stored_status < 400 then 'replayed'
          else 'refused_before'
        end;
      continue;
    end if;
    if v_command.type is null then
      outcomes[v_command.number] := 'answered';
      continue;
    end if;
    if v_command.target_changed then
      outcomes[v_command.number] := 'target_changed';
      continue;
    end if;
    if v_command.taken_by is not null or v_referents[v_command.referent] is not null then
      outcomes[v_command.number] := 'reference_taken';
      transaction_ids[v_command.number] := coalesce(v_command.taken_by, p_subject_ids[v_referents[v_command.referent]]);
      continue;
    end if;

    for v_index in v_first_effect .. v_effect - 1 loop
      continue when not p_effect_checkeds[v_index];
      v_limited := p_effect_limiteds[v_index];
      if p_effect_availables[v_index] < 0
        and v_availables[v_limited] + p_effect_availables[v_index] < p_limited_available_mins[v_limited]
      then
        outcomes[v_command.number] := 'insufficient_funds';
        balances[v_command.number] := v_availables[v_limited];
      elsif p_effect_posteds[v_index] > 0
        and v_posteds[v_limited] + p_effect_posteds[v_index] > p_limited_posted_maxs[v_limited]
      then
        outcomes[v_command.number] := 'limit_exceeded';
        balances[v_command.number] := v_posteds[v_limited];
      else
        continue;
      end if;
      account_ids[v_command.number] := p_limited_ids[v_limited];
      exit;
    end loop;
    continue when outcomes[v_command.number] is not null;

    for v_index in v_first_effect .. v_effect - 1 loop
      v_limited := p_effect_limiteds[v_index];
      v_availables[v_limited] := v_availables[v_limited] + p_effect_availables[v_index];
      v_posteds[v_limited] := v_posteds[v_limited] + p_effect_posteds[v_index];
    end loop;
    v_next := v_next + 1;
    positions[v_command.number] := v_next;
    outcomes[v_command.number] := 'posted';
    if v_command.referent is not null then
      v_referents[v_command.referent] := v_command.number;
    end if;
  end loop;
end;
$$;
