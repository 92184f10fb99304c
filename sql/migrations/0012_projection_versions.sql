-- Projections have versions: one is read, another is built beside it and takes its place, and the one before is kept until dropped.

alter table log.consumer
  -- of the rows that it reads and writes, where it keeps any
  add column version integer not null default 1;

do $$
declare
  v_table text;
  v_keys constant jsonb := '{
    "balances_v": "account_id",
    "expiring_holds_v": "expires_at, account_id",
    "open_holds_v": "transaction_id",
    "balance_checkpoints_v": "account_id, recorded_at, position",
    "dated_blocks_v": "account_id, level, end_position",
    "dated_sums_v": "account_id, level, end_position, series, first_at"
  }';
begin
  for v_table in select jsonb_object_keys(v_keys) loop
    execute format('alter table projection.%I add column version integer not null default 1', v_table);
    execute format('alter table projection.%I alter column version drop default', v_table);
    execute format('alter table projection.%I drop constraint %I', v_table, v_table || '_pkey');
    execute format(
      'alter table projection.%I add constraint %I primary key (tenant_id, version, %s)', v_table, v_table || '_pkey', v_keys ->> v_table
    );
  end loop;
end;
$$;

-- Rows that can be made again: the table is small, and nothing posted waits for it.
-- squawk-ignore require-concurrent-index-deletion
drop index projection.open_holds_v_expiry_idx;
-- squawk-ignore require-concurrent-index-creation
create index open_holds_v_expiry_idx on projection.open_holds_v (tenant_id, version, expires_at) where expires_at is not null;
