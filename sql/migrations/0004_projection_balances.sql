-- Balances as far as the projection has come; exact balances add the entries after its position. All of it can be rebuilt.

create schema projection;

-- An entry is *dated* when a clock must place it: it has a business time of its own, or an expiry. All others count from the moment
-- they are recorded, so their position is their time.
create table projection.balances_v (
  tenant_id uuid not null,
  account_id uuid not null,
  posted_debits numeric not null,
  posted_credits numeric not null,
  -- held, whether or not expired since
  pending_debits numeric not null,
  pending_credits numeric not null,
  -- of that, what had expired when the newest applied event was recorded
  expired_debits numeric not null,
  expired_credits numeric not null,
  -- of posted and pending, what dated entries brought
  dated_posted_debits numeric not null,
  dated_posted_credits numeric not null,
  dated_pending_debits numeric not null,
  dated_pending_credits numeric not null,
  entry_count bigint not null,
  dated_count bigint not null,
  constraint balances_v_pkey primary key (tenant_id, account_id)
) with (fillfactor = 60);

-- What is still held under each expiry after the newest applied event; rows that come to zero or expire are deleted.
create table projection.expiring_holds_v (
  tenant_id uuid not null,
  account_id uuid not null,
  expires_at timestamptz not null,
  pending_debits numeric not null,
  pending_credits numeric not null,
  constraint expiring_holds_v_pkey primary key (tenant_id, expires_at, account_id)
);

-- Holds that are neither captured in full nor voided, nor recorded as expired.
create table projection.open_holds_v (
  tenant_id uuid not null,
  transaction_id uuid not null,
  position bigint not null,
  expires_at timestamptz,
  constraint open_holds_v_pkey primary key (tenant_id, transaction_id)
);
create index open_holds_v_expiry_idx on projection.open_holds_v (tenant_id, expires_at) where expires_at is not null;

-- The sums of an account up to a position, every few hundred entries: what was known then, without counting from the beginning.
create table projection.balance_checkpoints_v (
  tenant_id uuid not null,
  account_id uuid not null,
  position bigint not null,
  recorded_at timestamptz not null,
  -- all entries up to the position, holds whether or not expired
  posted_debits numeric not null,
  posted_credits numeric not null,
  pending_debits numeric not null,
  pending_credits numeric not null,
  -- of these, the entries that are not dated
  live_posted_debits numeric not null,
  live_posted_credits numeric not null,
  live_pending_debits numeric not null,
  live_pending_credits numeric not null,
  -- instants grow with positions, so this finds a checkpoint by either
  constraint balance_checkpoints_v_pkey primary key (tenant_id, account_id, recorded_at, position)
);

-- The dated entries of an account, cut into blocks along the log: a block covers the positions after start_position up to
-- end_position. Sixteen blocks of a level make one of the next, so a few dozen blocks cover the log up to any position.
create table projection.dated_blocks_v (
  tenant_id uuid not null,
  account_id uuid not null,
  level smallint not null,
  start_position bigint not null,
  end_position bigint not null,
  -- of end_position
  recorded_at timestamptz not null,
  constraint dated_blocks_v_pkey primary key (tenant_id, account_id, level, end_position)
);

-- Within a block: running sums in the order of time, some dozens to a row, so one row tells what counted up to any instant.
-- Series `effective`: what begins to count at an instant. Series `expiry`: what ceases to count. An array of zeros only is empty.
create table projection.dated_sums_v (
  tenant_id uuid not null,
  account_id uuid not null,
  level smallint not null,
  end_position bigint not null,
  series text not null,
  first_at timestamptz not null,
  instants timestamptz[] not null,
  posted_debits numeric[] not null,
  posted_credits numeric[] not null,
  pending_debits numeric[] not null,
  pending_credits numeric[] not null,
  constraint dated_sums_v_pkey primary key (tenant_id, account_id, level, end_position, series, first_at),
  constraint dated_sums_v_series_known check (series in ('effective', 'expiry'))
);

do $$
declare
  v_table text;
begin
  foreach v_table in array array[
    'balances_v', 'expiring_holds_v', 'open_holds_v', 'balance_checkpoints_v', 'dated_blocks_v', 'dated_sums_v'
  ] loop
    execute format('alter table projection.%I enable row level security', v_table);
    execute format('alter table projection.%I force row level security', v_table);
    execute format(
      'create policy tenant_wall on projection.%I using (tenant_id = (select nullif(current_setting(''app.tenant_id'', true), '''')::uuid))',
      v_table
    );
    execute format('grant select, insert, update, delete on projection.%I to lattice_app', v_table);
    execute format('grant select on projection.%I to lattice_read', v_table);
  end loop;
end;
$$;

grant usage on schema projection to lattice_app, lattice_read;
