-- name: partitions_make
select log.create_partitions($months_ahead) as made;

-- name: partitions_ahead
-- Of each partitioned table, how many monthly partitions lie beyond this month.
select parent_namespace.nspname || '.' || parent.relname as "table",
  count(*) filter (where right(child.relname, 7) > to_char(now() at time zone 'UTC', 'YYYY_MM'))::integer as ahead
from pg_partitioned_table
join pg_class parent on parent.oid = pg_partitioned_table.partrelid
join pg_namespace parent_namespace on parent_namespace.oid = parent.relnamespace
left join pg_inherits on pg_inherits.inhparent = parent.oid
left join pg_class child on child.oid = pg_inherits.inhrelid
where parent_namespace.nspname in ('log', 'ledger')
group by 1
order by 1;
