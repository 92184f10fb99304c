-- What the catalogue says about the schemas of the modules, as statements. `relation` groups what belongs to one table or view.

-- name: schema_statements
select nspname::text as schema, format('create schema %I;', nspname) as statement
from pg_namespace
where nspname !~ '^pg_' and nspname not in ('information_schema', 'public', 'graphile_worker')
order by nspname collate "C";

-- name: schema_grants
select nspname::text as schema,
  format('grant %s on schema %I to %s;', lower(string_agg(acl.privilege_type, ', ' order by acl.privilege_type)), nspname,
    acl.grantee::regrole) as statement
from pg_namespace, aclexplode(nspacl) acl
where nspname = any ($schemas) and acl.grantee <> nspowner
group by nspname, acl.grantee
order by nspname collate "C", acl.grantee::regrole::text collate "C";

-- name: type_statements
select typnamespace::regnamespace::text as schema,
  format('create type %s as enum (%s);', pg_type.oid::regtype, string_agg(quote_literal(enumlabel), ', ' order by enumsortorder)) as statement
from pg_type
join pg_enum on enumtypid = pg_type.oid
where typnamespace::regnamespace::text = any ($schemas)
group by pg_type.oid, typnamespace
order by pg_type.oid::regtype::text collate "C";

-- name: relation_list
-- Tables and views; partitions look like their parents and differ from month to month.
select relnamespace::regnamespace::text as schema, oid::regclass::text as relation, relkind in ('r', 'p') as is_table,
  array_to_string(reloptions, ', ') as options, pg_get_partkeydef(oid) as partition_key,
  case when relkind = 'v' then pg_get_viewdef(oid, true) end as definition
from pg_class
where relkind in ('r', 'p', 'v') and not relispartition and relnamespace::regnamespace::text = any ($schemas)
order by oid::regclass::text collate "C";

-- name: relation_lines
-- Inside the parentheses of a table: its columns, then its constraints.
select relation, line
from (
  select attrelid::regclass::text as relation, 0 as part, attnum::text as place, attnum as ordinal,
    format('%I %s%s%s', attname, format_type(atttypid, atttypmod),
      case when attcollation <> typcollation then format(' collate %s', attcollation::regcollation) else '' end,
      case when attnotnull then ' not null' else '' end)
    || coalesce(' default ' || pg_get_expr(adbin, adrelid), '') as line
  from pg_attribute
  join pg_type on pg_type.oid = atttypid
  left join pg_attrdef on adrelid = attrelid and adnum = attnum
  where attnum > 0 and not attisdropped
  union all
  select conrelid::regclass::text, 1 + position(contype::text in 'pufc'), conname::text, 0,
    format('constraint %I %s', conname, pg_get_constraintdef(oid))
  from pg_constraint
  where contype in ('p', 'u', 'f', 'c', 'x')
) lines
where relation = any ($relations)
order by relation, part, ordinal, place collate "C";

-- name: relation_statements
-- After the table: indexes, the wall, the rights.
select relation, statement
from (
  select indrelid::regclass::text as relation, 0 as part, indexrelid::regclass::text as place, pg_get_indexdef(indexrelid) || ';' as statement
  from pg_index
  where not exists (select from pg_constraint where conindid = indexrelid)
  union all
  select oid::regclass::text, 1, '', format('alter table %s enable row level security;', oid::regclass)
  from pg_class
  where relrowsecurity
  union all
  select oid::regclass::text, 2, '', format('alter table %s force row level security;', oid::regclass)
  from pg_class
  where relforcerowsecurity
  union all
  select polrelid::regclass::text, 3, polname,
    format('create policy %I on %s as %s for %s using %s;', polname, polrelid::regclass,
      case when polpermissive then 'permissive' else 'restrictive' end,
      case polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all' end,
      pg_get_expr(polqual, polrelid))
    || coalesce(' -- with check ' || pg_get_expr(polwithcheck, polrelid), '')
  from pg_policy
  union all
  select oid::regclass::text, 4, acl.grantee::text,
    format('grant %s on %s to %s;', lower(string_agg(acl.privilege_type, ', ' order by acl.privilege_type)), oid::regclass,
      acl.grantee::regrole)
  from pg_class, aclexplode(relacl) acl
  where acl.grantee <> relowner
  group by oid, acl.grantee
  union all
  select attrelid::regclass::text, 5, acl.grantee::text,
    format('grant %s (%s) on %s to %s;', lower(acl.privilege_type), string_agg(attname, ', ' order by attnum), attrelid::regclass,
      acl.grantee::regrole)
  from pg_attribute, aclexplode(attacl) acl
  group by attrelid, acl.grantee, acl.privilege_type
) statements
where relation = any ($relations)
order by relation, part, place collate "C", statement collate "C";

-- name: function_statements
-- Signatures and properties; the bodies are in sql/functions.
select pronamespace::regnamespace::text as schema,
  format(E'create function %s(%s)\n  returns %s\n  language %s %s%s%s %s;\n%s', proc.oid::regproc,
    pg_get_function_arguments(proc.oid), pg_get_function_result(proc.oid), lanname,
    case provolatile when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end,
    case when proisstrict then ' strict' else '' end, case when prosecdef then ' security definer' else '' end,
    (select string_agg(format('set %s', setting), ' ' order by setting) from unnest(proconfig) setting),
    (
      select string_agg(format('grant execute on function %s to %s;', proc.oid::regproc, acl.grantee::regrole), E'\n'
        order by acl.grantee::regrole::text collate "C")
      from aclexplode(proacl) acl
      where acl.grantee <> proowner
    )) as statement
from pg_proc proc
join pg_language on pg_language.oid = prolang
where pronamespace::regnamespace::text = any ($schemas)
order by proc.oid::regproc::text collate "C", pg_get_function_arguments(proc.oid) collate "C";
