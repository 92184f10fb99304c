-- name: rows_read
select sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint as row_count
from pg_stat_xact_user_tables
where schemaname in ('ledger', 'log', 'projection');

-- name: statistics_read
select count(*) as analyzed_count
from pg_class
where relkind = 'r' and reltuples > 0
  and relnamespace in ('ledger'::regnamespace, 'log'::regnamespace, 'projection'::regnamespace);
