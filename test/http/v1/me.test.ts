import { expect, test } from 'vitest';
import { z } from 'zod';
import { aKey, aPlatformKey, aTenant } from '../../support/factories.ts';
import { startServer } from '../../support/server.ts';

const server = await startServer();

const MeSchema = z.object({
  tenant: z.looseObject({ slug: z.string() }),
  key: z.looseObject({ role: z.string(), name: z.string() }),
  permissions: z.array(z.string()),
});
const RolesSchema = z.object({
  data: z.array(z.object({ name: z.string(), description: z.string(), permissions: z.array(z.string()) })),
});

test('a key tells its holder which tenant, which key and what it may do', async () => {
  const tenant = await aTenant();
  const { api_key } = await aKey(tenant.id, 'integrator_read');
  const me = (await server.client(api_key).get('/v1/me')).as(MeSchema);
  expect(me).toMatchObject({
    tenant: { slug: tenant.slug, status: 'active' },
    key: { role: 'integrator_read', name: 'test integrator_read', status: 'active' },
  });
  expect(JSON.stringify(me)).not.toContain(api_key.slice(-52));
});

test('what a key may do is what its role is listed with', async () => {
  const tenant = await aTenant();
  const { data } = (await server.client(tenant.api_key).get('/v1/roles')).as(RolesSchema);
  expect(data.map(({ name }) => name)).toEqual([
    'owner',
    'operator',
    'auditor',
    'integrator_read',
    'integrator_write',
    'platform',
  ]);
  for (const { name, permissions } of data.filter((role) => role.name !== 'platform')) {
    const { api_key } = await aKey(tenant.id, roleOf(name));
    expect((await server.client(api_key).get('/v1/me')).as(MeSchema).permissions).toEqual(permissions);
  }
  const platform = (await server.client(await aPlatformKey()).get('/v1/me')).as(MeSchema);
  expect(platform.permissions).toEqual(data.find(({ name }) => name === 'platform')?.permissions);
});

function roleOf(name: string) {
  return z.enum(['owner', 'operator', 'auditor', 'integrator_read', 'integrator_write']).parse(name);
}
