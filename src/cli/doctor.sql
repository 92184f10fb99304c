-- name: wall_find
select to_regprocedure('lattice.try_wall()') is not null as is_there;

-- name: wall_try
select try_wall.attempt, try_wall.held
from lattice.try_wall();

-- name: settings_find
select current_setting('fsync') as fsync, current_setting('full_page_writes') as full_page_writes,
  current_setting('synchronous_commit') as synchronous_commit,
  current_setting('max_connections')::integer as max_connections,
  pg_database_size(current_database())::text as database_bytes;

-- name: clock_read
-- In seconds since 1970, with microseconds.
select extract(epoch from clock_timestamp())::float8 as epoch_seconds;
