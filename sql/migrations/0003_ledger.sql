-- The ledger: accounts and what changed about them, entries, references, links between transactions. All append-only.

create schema ledger;

create type ledger.direction as enum ('debit', 'credit');
-- posted money, or money held; releasing a hold is a negative amount in the pending layer
create type ledger.layer as enum ('posted', 'pending');

-- What never changes about an account.
create table ledger.account (
  tenant_id uuid not null,
  id uuid not null,
  code text not null,
  type text not null,
  currency text not null,
  scale smallint not null,
  created_at timestamptz not null,
  constraint account_pkey primary key (tenant_id, id),
  constraint account_code_taken unique (tenant_id, code),
  constraint account_type_known check (type in ('asset', 'liability', 'equity', 'revenue', 'expense')),
  constraint account_scale_known check (scale between 0 and 18)
);

-- Walks the tree of codes: prefix comparisons in byte order.
create index account_code_prefix_idx on ledger.account (tenant_id, code collate "C");

-- What may change: the version with the highest position is the account as it is now. `number` counts 1, 2, 3 … per account.
create table ledger.account_version (
  tenant_id uuid not null,
  account_id uuid not null,
  position bigint not null,
  number integer not null,
  name text,
  status text not null,
  available_min numeric(38, 0),
  posted_max numeric(38, 0),
  metadata jsonb not null,
  recorded_at timestamptz not null,
  constraint account_version_pkey primary key (tenant_id, account_id, position),
  constraint account_version_account_fkey foreign key (tenant_id, account_id) references ledger.account (tenant_id, id),
  constraint account_version_status_known check (status in ('open', 'closed'))
);

-- Answers "has any account changed since position p?" with one index probe; a new account changes none.
create index account_version_position_idx on ledger.account_version (tenant_id, position);
create index account_version_change_idx on ledger.account_version (tenant_id, position) where number > 1;

-- metadata[key]=value → accounts that had it in some version, in the order of their codes; a pair is hashed
create table ledger.account_metadata_pair (
  tenant_id uuid not null,
  pair_hash uuid not null,
  code text collate "C" not null,
  account_id uuid not null,
  constraint account_metadata_pair_pkey primary key (tenant_id, pair_hash, code),
  constraint account_metadata_pair_account_fkey foreign key (tenant_id, account_id) references ledger.account (tenant_id, id)
);

-- One leg of a transaction. `position` is that of the transaction's event. Minor units, positive; negative only to release a hold.
create table ledger.entry (
  tenant_id uuid not null,
  position bigint not null,
  ordinal integer not null,
  account_id uuid not null,
  layer ledger.layer not null,
  direction ledger.direction not null,
  amount numeric(38, 0) not null,
  effective_at timestamptz not null,
  recorded_at timestamptz not null,
  -- of the hold that a pending entry belongs to: from then on the entry no longer counts, for every reader and writer
  expires_at timestamptz,
  constraint entry_pkey primary key (tenant_id, position, ordinal, recorded_at),
  constraint entry_amount_signed check (amount > 0 or (layer = 'pending' and amount < 0)),
  constraint entry_expiry_pending check (expires_at is null or layer = 'pending')
) partition by range (recorded_at);

create index entry_account_idx on ledger.entry (tenant_id, account_id, position);
-- Entries that a clock must place: with a business time of their own, or with an expiry. For all others the position is the time.
create index entry_dated_idx on ledger.entry (tenant_id, account_id, position)
  where effective_at <> recorded_at or expires_at is not null;

-- Who has a reference, for ever. A hash, so small.
create table ledger.reference (
  tenant_id uuid not null,
  reference_hash uuid not null,
  transaction_id uuid not null,
  position bigint not null,
  constraint reference_taken primary key (tenant_id, reference_hash)
);

-- What happened to a transaction after it was recorded. `number` counts 1, 2, 3 … per transaction, so of two writers that saw
-- the same state one fails.
create table ledger.transaction_link (
  tenant_id uuid not null,
  transaction_id uuid not null,
  number integer not null,
  kind text not null,
  -- the capture or reversal; null for void and expiry
  by_transaction_id uuid,
  position bigint not null,
  -- whether nothing of the hold is left after this
  final boolean not null,
  constraint transaction_link_pkey primary key (tenant_id, transaction_id, number),
  constraint transaction_link_kind_known check (kind in ('capture', 'void', 'expiry', 'reversal'))
);

create index transaction_link_position_idx on ledger.transaction_link (tenant_id, position);

-- metadata[key]=value → positions; a pair is hashed
create table ledger.metadata_pair (
  tenant_id uuid not null,
  pair_hash uuid not null,
  position bigint not null,
  constraint metadata_pair_pkey primary key (tenant_id, pair_hash, position)
);

-- Postings of a tenant stop when its ledger fails a recount, and go on when an operator has verified it.
create table ledger.halt (
  tenant_id uuid not null,
  position bigint not null,
  halted boolean not null,
  reason text not null,
  recorded_at timestamptz not null,
  constraint halt_pkey primary key (tenant_id, position)
);

-- Accounts as they are now.
create view ledger.current_account with (security_invoker) as
select
  account.tenant_id, account.id, account.code, account.type, account.currency, account.scale, account.created_at,
  version.name, version.status, version.available_min, version.posted_max, version.metadata, version.position, version.number
from ledger.account
cross join lateral (
  select account_version.*
  from ledger.account_version
  where account_version.tenant_id = account.tenant_id and account_version.account_id = account.id
  order by account_version.position desc
  limit 1
) version;

grant select on ledger.current_account to lattice_app, lattice_read;

do $$
declare
  v_table text;
begin
  foreach v_table in array array['account', 'account_version', 'account_metadata_pair', 'entry', 'reference', 'transaction_link', 'metadata_pair', 'halt'] loop
    execute format('alter table ledger.%I enable row level security', v_table);
    execute format('alter table ledger.%I force row level security', v_table);
    execute format(
      'create policy tenant_wall on ledger.%I using (tenant_id = (select nullif(current_setting(''app.tenant_id'', true), '''')::uuid))',
      v_table
    );
    execute format('grant select, insert on ledger.%I to lattice_app', v_table);
    execute format('grant select on ledger.%I to lattice_read', v_table);
  end loop;
end;
$$;

grant usage on schema ledger to lattice_app, lattice_read;
