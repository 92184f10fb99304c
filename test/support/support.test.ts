import { expect, test } from 'vitest';
import { z } from 'zod';
import { authenticate } from '../../src/modules/access/index.ts';
import { asRole, asSuperuser, database } from './database.ts';
import { aTenant } from './factories.ts';

test('each file has a database of its own, migrated and owned by lattice_owner', async () => {
  const [row] = await asSuperuser(
    z.object({ name: z.string(), owner: z.string(), migrations: z.number() }),
    `select datname as name, datdba::regrole::text as owner, (select count(*)::integer from lattice.migration) as migrations
     from pg_database where datname = current_database()`,
  );
  expect(row?.name).toMatch(/^test_[0-9a-f]{12}$/);
  expect(row?.owner).toBe('lattice_owner');
  expect(row?.migrations).toBeGreaterThan(3);
});

test('the database is reached as lattice_app, which walks through no wall', async () => {
  const RoleSchema = z.object({ rolname: z.string(), rolsuper: z.boolean(), rolbypassrls: z.boolean() });
  expect(
    await asRole(
      'lattice_app',
      RoleSchema,
      'select rolname, rolsuper, rolbypassrls from pg_roles where rolname = current_user',
    ),
  ).toEqual([{ rolname: 'lattice_app', rolsuper: false, rolbypassrls: false }]);
});

test("a tenant's key opens that tenant", async () => {
  const tenant = await aTenant();
  const holder = await authenticate(database, tenant.api_key);
  expect(holder).toMatchObject({ tenant_id: tenant.id, actor_id: tenant.actor.actor_id, role: 'owner' });
});
