-- name: session_find
-- What the process is in this database: its role must neither own the tables nor walk through the walls between tenants.
select
  current_user as role,
  current_setting('server_version_num')::integer as version_num,
  current_setting('server_version') as version,
  pg_roles.rolsuper as is_superuser,
  pg_roles.rolbypassrls as bypasses_rls,
  exists (
    select
    from pg_class
    join pg_namespace on pg_namespace.oid = pg_class.relnamespace
    where pg_namespace.nspowner = (select nspowner from pg_namespace where nspname = 'lattice')
      and pg_has_role(current_user, pg_class.relowner, 'usage')
  ) as owns_tables
from pg_roles
where pg_roles.rolname = current_user;
