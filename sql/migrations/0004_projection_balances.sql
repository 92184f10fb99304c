-- Balances as far as the projection has come; exact balances add the entries after its position. All of it can be rebuilt.

create schema projection;

create table projection.balances_v (
  tenant_id uuid not null,
  account_id uuid not null,
  posted_debits numeric not null,
  posted_credits numeric not null,
  -- held, whether or not expired
  pending_debits numeric not null,
  pending_credits numeric not null,
  entry_count bigint not null,
  -- entry_count when the newest checkpoint was taken
  checkpoint_entry_count bigint not null,
  constraint balances_v_pkey primary key (tenant_id, account_id)
) with (fillfactor = 70);

-- What is still held under each expiry: zero rows are deleted. What has expired is taken off the pending sums.
create table projection.expiring_holds_v (
  tenant_id uuid not null,
  account_id uuid not null,
  expires_at timestamptz not null,
  pending_debits numeric not null,
  pending_credits numeric not null,
  constraint expiring_holds_v_pkey primary key (tenant_id, account_id, expires_at)
);

-- Holds whose expiry the log has still to record, for the sweeper.
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
  -- all entries up to the position
  posted_debits numeric not null,
  posted_credits numeric not null,
  pending_debits numeric not null,
  pending_credits numeric not null,
  -- of these, the entries in effect when recorded
  live_posted_debits numeric not null,
  live_posted_credits numeric not null,
  live_pending_debits numeric not null,
  live_pending_credits numeric not null,
  constraint balance_checkpoints_v_pkey primary key (tenant_id, account_id, position)
);

do $$
declare
  v_table text;
begin
  foreach v_table in array array['balances_v', 'expiring_holds_v', 'open_holds_v', 'balance_checkpoints_v'] loop
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
