-- Posts batches of several tenants in one transaction, so that tenants who post little each share a commit and a round trip.
-- Only what ledger.post_transactions posts optimistically; one row per batch, in order. A state other than `posted` wrote nothing for
-- that tenant, who is then posted alone. A unique violation rolls back all of them.
--
-- p_batches is the arguments of ledger.post_transactions as text, empty for null: tenants are separated by chr(28), arguments by chr(29);
-- exact, atomic and dry_run are left out.
--
-- Locks: each tenant's, until commit. The caller orders the batches by tenant id, so that two callers never wait for each other.
create or replace function ledger.post_batches(p_batches text)
returns table (state text, first_position bigint, recorded_at timestamptz, limited_balances numeric[])
language plpgsql volatile
set search_path = pg_catalog
as $$
declare
  v_batch text;
  v_columns text[];
begin
  foreach v_batch in array string_to_array(p_batches, chr(28)) loop
    v_columns := string_to_array(v_batch, chr(29), '');
    return query
    select posted.state, posted.first_position, posted.recorded_at, posted.limited_balances
    from ledger.post_transactions(
      v_columns[1]::uuid, v_columns[2]::bigint, v_columns[3]::bigint, v_columns[4]::timestamptz, false, false, false,
      v_columns[5]::uuid[], v_columns[6]::uuid[], v_columns[7]::smallint[], v_columns[8]::text, v_columns[9]::uuid[],
      v_columns[10]::text[], v_columns[11]::uuid[], v_columns[12]::text, v_columns[13]::uuid[], v_columns[14]::text[],
      v_columns[15]::timestamptz[], v_columns[16]::uuid[], v_columns[17]::uuid[], v_columns[18]::integer[], v_columns[19]::text[],
      v_columns[20]::boolean[], v_columns[21]::timestamptz[], v_columns[22]::integer[], v_columns[23]::integer[], v_columns[24]::uuid[],
      v_columns[25]::ledger.layer[], v_columns[26]::ledger.direction[], v_columns[27]::numeric[], v_columns[28]::timestamptz[], v_columns[29]::timestamptz[],
      v_columns[30]::integer[], v_columns[31]::uuid[], v_columns[32]::uuid[], v_columns[33]::boolean[], v_columns[34]::numeric[],
      v_columns[35]::numeric[], v_columns[36]::numeric[], v_columns[37]::numeric[], v_columns[38]::integer[], v_columns[39]::integer[],
      v_columns[40]::numeric[], v_columns[41]::numeric[], v_columns[42]::boolean[]
    ) posted;
  end loop;
end;
$$;
