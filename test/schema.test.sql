-- What the schema gate asks the catalogue. Each query answers every object it looked at, and whether something is wrong with it.

-- name: table_wall
-- Row level security enabled and forced, and the wall itself, on each table and each partition.
select relation.oid::regclass::text as object,
  not relation.relrowsecurity
  or not relation.relforcerowsecurity
  or not exists (
    select
    from pg_policy wall
    where wall.polrelid = relation.oid and wall.polname = 'tenant_wall' and wall.polpermissive and wall.polcmd = '*'
      and wall.polroles = '{0}' and wall.polwithcheck is null
      and regexp_replace(pg_get_expr(wall.polqual, wall.polrelid), '\s+', ' ', 'g')
        = '(tenant_id = ( SELECT (NULLIF(current_setting(''app.tenant_id''::text, true), ''''::text))::uuid AS "nullif"))'
  ) as wrong
from pg_class relation
where relation.relkind in ('r', 'p') and relation.relnamespace::regnamespace::text = any ($schemas);

-- name: policy_extra
-- A second permissive policy is a second door. Two are known, for a statement that posts for several tenants: it inserts for those it names,
-- and sees whether their logs have grown.
select format('%s %s', policy.polrelid::regclass, policy.polname) as object,
  policy.polname <> 'tenant_wall' and policy.polpermissive
  and not (
    (
      policy.polname = 'batch_wall' and policy.polcmd = 'a'
      or policy.polname = 'batch_heads' and policy.polcmd = 'r' and policy.polrelid = 'log.event'::regclass
    )
    and regexp_replace(pg_get_expr(coalesce(policy.polwithcheck, policy.polqual), policy.polrelid), '\s+', ' ', 'g')
      = '(tenant_id = ANY (COALESCE(( SELECT (NULLIF(current_setting(''app.batch_tenant_ids''::text, true), ''''::text))::uuid[] AS "nullif"), ''{}''::uuid[])))'
  ) as wrong
from pg_policy policy
join pg_class relation on relation.oid = policy.polrelid
where relation.relnamespace::regnamespace::text = any ($schemas);

-- name: table_tenant
-- The first column is the tenant, and it is always known.
select relation.oid::regclass::text as object,
  coalesce(first.attname <> 'tenant_id' or first.atttypid <> 'uuid'::regtype or not first.attnotnull, true) as wrong
from pg_class relation
left join pg_attribute first on first.attrelid = relation.oid and first.attnum = 1
where relation.relkind in ('r', 'p') and relation.relnamespace::regnamespace::text = any ($schemas);

-- name: index_tenant
select index.indexrelid::regclass::text as object,
  coalesce(first.attname <> 'tenant_id', true) as wrong
from pg_index index
join pg_class relation on relation.oid = index.indrelid
left join pg_attribute first on first.attrelid = index.indrelid and first.attnum = index.indkey[0]
where relation.relnamespace::regnamespace::text = any ($schemas) and not relation.relispartition;

-- name: foreign_key_tenant
-- A foreign key without the tenant on both sides crosses the wall silently: checks of the system ignore row level security.
select format('%s %s', con.conrelid::regclass, con.conname) as object,
  cardinality(con.conkey) < 2 or here.attname <> 'tenant_id' or there.attname <> 'tenant_id' as wrong
from pg_constraint con
join pg_attribute here on here.attrelid = con.conrelid and here.attnum = con.conkey[1]
join pg_attribute there on there.attrelid = con.confrelid and there.attnum = con.confkey[1]
where con.contype = 'f' and con.connamespace::regnamespace::text = any ($schemas);

-- name: constraint_name
-- Postgres makes up a name from the table, the columns and the kind; ours say what is violated. `<table>_pkey` is the exception.
select format('%s %s', con.conrelid::regclass, con.conname) as object,
  con.contype <> 'p' and con.conname ~ case con.contype
    when 'c' then '_check[0-9]*$'
    when 'u' then '_key[0-9]*$'
    when 'x' then '_excl[0-9]*$'
    else format('^%s_%s_fkey[0-9]*$', relation.relname, (
      select string_agg(column_of.attname, '_' order by keyed.ordinal)
      from unnest(con.conkey) with ordinality keyed(attnum, ordinal)
      join pg_attribute column_of on column_of.attrelid = con.conrelid and column_of.attnum = keyed.attnum
    ))
  end as wrong
from pg_constraint con
join pg_class relation on relation.oid = con.conrelid
where con.contype in ('p', 'u', 'f', 'c', 'x') and con.connamespace::regnamespace::text = any ($schemas) and not relation.relispartition;

-- name: constraint_problem
-- What a client can run into is a problem by name: each unique constraint or index that is not merely a `<table>_pkey`.
select name.relname as object, not name.relname = any ($problems) as wrong
from pg_index index
join pg_class name on name.oid = index.indexrelid
join pg_class relation on relation.oid = index.indrelid
where index.indisunique and not relation.relispartition and name.relname <> relation.relname || '_pkey'
  and relation.relnamespace::regnamespace::text = any ($schemas);

-- name: append_only
-- Neither the process nor the readers may change or remove what was recorded, nor go around the parent to a partition.
select format('%s %s %s', relation.oid::regclass, role.rolname, privilege.name) as object,
  has_table_privilege(role.oid, relation.oid, privilege.name)
  or (privilege.name = 'update' and has_any_column_privilege(role.oid, relation.oid, 'update')) as wrong
from pg_class relation
cross join pg_roles role
cross join unnest(array['update', 'delete', 'truncate', 'trigger', 'references']) privilege(name)
where relation.relkind in ('r', 'p') and relation.relnamespace::regnamespace::text in ('ledger', 'log')
  and relation.oid <> 'log.consumer'::regclass and role.rolname in ('lattice_app', 'lattice_read');

-- name: partition_privilege
select format('%s %s', relation.oid::regclass, role.rolname) as object,
  has_table_privilege(role.oid, relation.oid, 'select, insert, update, delete, truncate') as wrong
from pg_class relation
cross join pg_roles role
where relation.relispartition and relation.relkind = 'r' and relation.relnamespace::regnamespace::text = any ($schemas)
  and role.rolname in ('lattice_app', 'lattice_read');

-- name: reader_privilege
-- `lattice_read` reads, and no secret.
select format('%s.%s', relation.oid::regclass, col.attname) as object,
  has_column_privilege('lattice_read', relation.oid, col.attnum, 'insert, update')
  or has_table_privilege('lattice_read', relation.oid, 'delete, truncate')
  or (format('%s.%s', relation.oid::regclass, col.attname) = any ($secrets)
    and has_column_privilege('lattice_read', relation.oid, col.attnum, 'select')) as wrong
from pg_class relation
join pg_attribute col on col.attrelid = relation.oid and col.attnum > 0 and not col.attisdropped
where relation.relkind in ('r', 'p', 'v') and relation.relnamespace::regnamespace::text = any ($schemas);

-- name: role_attribute
select role.rolname as object,
  role.rolsuper or role.rolbypassrls or role.rolcreaterole or role.rolcreatedb or role.rolreplication
  or exists (select from pg_auth_members member where member.member = role.oid) as wrong
from pg_roles role
where role.rolname in ('lattice_owner', 'lattice_app', 'lattice_read');

-- name: owner
-- All of it belongs to `lattice_owner`: an owner may switch row level security off.
select format('%s %s', kind, name) as object, owner <> 'lattice_owner' as wrong
from (
  select 'relation' as kind, oid::regclass::text as name, relowner::regrole::text as owner, relnamespace as namespace from pg_class
  union all
  select 'function', oid::regprocedure::text, proowner::regrole::text, pronamespace from pg_proc
  union all
  select 'type', oid::regtype::text, typowner::regrole::text, typnamespace from pg_type
  union all
  select 'schema', nspname, nspowner::regrole::text, oid from pg_namespace
) owned
where namespace::regnamespace::text = any ($schemas);

-- name: schema_privilege
select format('%s %s', schema.nspname, role.rolname) as object, has_schema_privilege(role.oid, schema.oid, 'create') as wrong
from pg_namespace schema
cross join pg_roles role
where (schema.nspname = any ($schemas) or schema.nspname = 'public') and role.rolname in ('lattice_app', 'lattice_read');

-- name: function_pinned
-- Each function says where its names are looked up; one that runs as its owner puts the caller's temporary schema last.
select proc.oid::regprocedure::text as object,
  not exists (
    select
    from unnest(proc.proconfig) setting
    where case when proc.prosecdef then setting ~ '^search_path=.*pg_temp$' else setting like 'search_path=%' end
  ) as wrong
from pg_proc proc
where proc.pronamespace::regnamespace::text = any ($schemas);

-- name: function_public
select proc.oid::regprocedure::text as object,
  proc.proacl is null or exists (select from aclexplode(proc.proacl) acl where acl.grantee = 0) as wrong
from pg_proc proc
where proc.pronamespace::regnamespace::text = any ($schemas);

-- name: view_invoker
-- A view without security_invoker reads with its owner's eyes; a materialized one knows no tenants at all.
select relation.oid::regclass::text as object,
  relation.relkind = 'm' or not coalesce(relation.reloptions && array['security_invoker=true', 'security_invoker=on'], false) as wrong
from pg_class relation
where relation.relkind in ('v', 'm') and relation.relnamespace::regnamespace::text = any ($schemas);

-- name: partition_ahead
-- This month's partition and at least three after it, without a gap, and none that takes whatever is left over.
select format('%s %s', parent.oid::regclass, to_char(month, 'YYYY-MM')) as object,
  not exists (
    select
    from pg_inherits
    join pg_class part on part.oid = pg_inherits.inhrelid
    where pg_inherits.inhparent = parent.oid
      and pg_get_expr(part.relpartbound, part.oid) = format(
        'FOR VALUES FROM (''%s'') TO (''%s'')', month at time zone 'UTC', (month + interval '1 month') at time zone 'UTC'
      )
  )
  or exists (
    select from pg_partitioned_table partitioned where partitioned.partrelid = parent.oid and partitioned.partdefid <> 0
  ) as wrong
from pg_class parent
cross join generate_series(
  date_trunc('month', now() at time zone 'UTC'), date_trunc('month', now() at time zone 'UTC') + interval '3 months', interval '1 month'
) month
where parent.relkind = 'p' and parent.relnamespace::regnamespace::text = any ($schemas);

-- name: column_type
-- No float, no `money`, no instant without its zone; no sequence that would order tenants among themselves.
select format('%s.%s', relation.oid::regclass, col.attname) as object,
  col.atttypid in ('real'::regtype, 'double precision'::regtype, 'money'::regtype, 'timestamp'::regtype, 'timetz'::regtype)
  or col.attidentity <> '' or pg_get_serial_sequence(relation.oid::regclass::text, col.attname) is not null as wrong
from pg_class relation
join pg_attribute col on col.attrelid = relation.oid and col.attnum > 0 and not col.attisdropped
where relation.relkind in ('r', 'p') and relation.relnamespace::regnamespace::text = any ($schemas);

-- name: trigger_none
-- Correctness needs no trigger: what a trigger does, a reader of the code does not see.
select relation.oid::regclass::text as object,
  exists (select from pg_trigger trigger where trigger.tgrelid = relation.oid and not trigger.tgisinternal)
  or exists (select from pg_rewrite rule where rule.ev_class = relation.oid and rule.rulename <> '_RETURN') as wrong
from pg_class relation
where relation.relkind in ('r', 'p', 'v') and relation.relnamespace::regnamespace::text = any ($schemas);

-- name: column_list
-- Of tables; partitions have the columns of their parents, and views show those of tables.
select relation.oid::regclass::text as relation, col.attname::text as name
from pg_class relation
join pg_attribute col on col.attrelid = relation.oid and col.attnum > 0 and not col.attisdropped
where relation.relkind in ('r', 'p') and not relation.relispartition
  and relation.relnamespace::regnamespace::text = any ($schemas)
order by relation.oid::regclass::text collate "C", col.attnum;

-- name: schema_list
select nspname::text as name
from pg_namespace
where nspname !~ '^pg_' and nspname not in ('information_schema', 'public');

-- name: problem_constraint
select relname::text as name
from pg_class
where relkind in ('i', 'I') and relnamespace::regnamespace::text = any ($schemas);
