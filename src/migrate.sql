-- name: schema_create
create schema if not exists lattice;

-- name: migration_table_create
create table if not exists lattice.migration (
  name text not null,
  checksum text not null,
  applied_at timestamptz not null default now(),
  constraint migration_pkey primary key (name)
);

-- name: function_table_create
create table if not exists lattice.function (
  name text not null,
  checksum text not null,
  applied_at timestamptz not null default now(),
  constraint function_pkey primary key (name)
);

-- name: schema_grant
grant usage on schema lattice to lattice_app, lattice_read;

-- name: table_grant
grant select on lattice.migration, lattice.function to lattice_app, lattice_read;

-- name: schema_exists
select to_regclass('lattice.function') is not null as "exists";

-- name: lock_acquire
-- Until the connection ends.
select pg_advisory_lock(hashtextextended('lattice.migrate', 7461));

-- name: migration_list
select name, checksum
from lattice.migration
order by name;

-- name: migration_insert
insert into lattice.migration (name, checksum)
values ($name, $checksum);

-- name: function_list
select name, checksum
from lattice.function
order by name;

-- name: function_upsert
insert into lattice.function (name, checksum)
values ($name, $checksum)
on conflict (name) do update
set checksum = excluded.checksum, applied_at = now();

-- name: function_delete
delete from lattice.function
where name = $name;

-- name: overload_list
select pg_proc.oid::regprocedure::text as signature, pg_proc.xmin::text as version,
  pg_proc.provolatile <> 'v' as reads_only
from pg_proc
join pg_namespace on pg_namespace.oid = pg_proc.pronamespace
where pg_namespace.nspname = $schema and pg_proc.proname = $function
order by signature;

-- name: partitions_create
select log.create_partitions($months_ahead) as created;

-- name: queue_exists
select exists (
  select from pg_class where relnamespace = to_regnamespace('graphile_worker') and relname = 'migrations'
) as "exists";

-- name: queue_revision
select coalesce(max(id), 0) as revision
from graphile_worker.migrations;

-- name: queue_open
select lattice.open_queue();
