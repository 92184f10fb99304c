-- name: guard_acquire
-- Held by the Lattice that runs on this cluster, until its connection ends: a killed process holds nothing.
select pg_try_advisory_lock(hashtextextended('lattice.guard', 7461)) as acquired;

-- name: guard_holder
select pg_stat_activity.application_name as name
from pg_locks
join pg_stat_activity on pg_stat_activity.pid = pg_locks.pid
where pg_locks.locktype = 'advisory' and pg_stat_activity.application_name like 'lattice guard %'
limit 1;

-- name: database_exists
select exists (select from pg_database where datname = 'lattice') as "exists";
