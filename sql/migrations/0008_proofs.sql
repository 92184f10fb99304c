-- Blocks of the log: hashes of every event with its entries, chained and signed, so that a change to what was recorded shows.

create schema proofs;

-- Positions first_position to last_position of a tenant's log, closed for ever. docs/proofs.md says how each hash is made.
create table proofs.block (
  tenant_id uuid not null,
  number bigint not null,
  first_position bigint not null,
  last_position bigint not null,
  -- Merkle root of the leaves
  root bytea not null,
  -- of the block before; zeros for the first
  previous_hash bytea not null,
  closed_at timestamptz not null,
  -- of the Ed25519 key that signed, which is not in this database
  key_id bytea not null,
  -- of the header, which is the columns above
  hash bytea not null,
  signature bytea not null,
  -- 32 bytes for each position
  leaves bytea not null,
  constraint block_pkey primary key (tenant_id, number),
  constraint block_number_positive check (number > 0),
  constraint block_positions_ordered check (first_position > 0 and first_position <= last_position),
  constraint block_hashes_sha256 check (length(root) = 32 and length(previous_hash) = 32 and length(hash) = 32),
  constraint block_leaves_complete check (length(leaves) = 32 * (last_position - first_position + 1))
);

create index block_last_position_idx on proofs.block (tenant_id, last_position);
create index block_hash_idx on proofs.block (tenant_id, hash);

-- Hashes cannot be compressed.
alter table proofs.block alter column leaves set storage external;

alter table proofs.block enable row level security;
alter table proofs.block force row level security;
create policy tenant_wall on proofs.block
  using (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid));

grant select, insert on proofs.block to lattice_app;
grant select on proofs.block to lattice_read;
grant usage on schema proofs to lattice_app, lattice_read;
