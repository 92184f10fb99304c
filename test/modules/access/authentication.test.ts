import { expect, test } from 'vitest';
import { platform_tenant_id, system_actor_id } from '../../../src/db.ts';
import { newUuid } from '../../../src/id.ts';
import { authenticate, createKey } from '../../../src/modules/access/index.ts';
import { createTenant } from '../../../src/modules/tenants/index.ts';
import { database } from '../../support/database.ts';

test('a key opens its tenant and nothing else', async () => {
  const platform = { tenant_id: platform_tenant_id, actor_id: system_actor_id, request_id: 'test' };
  const tenant = await database.transaction(platform, (tx) =>
    createTenant(tx, {
      slug: `t-${newUuid().slice(-12)}`,
      name: 'Acme',
      mode: 'live',
      template: 'blank',
      currency: 'EUR',
    }),
  );
  const { api_key } = await database.transaction({ ...platform, tenant_id: tenant.id }, (tx) =>
    createKey(tx, { name: 'first', role: 'owner' }),
  );
  const holder = await authenticate(database, api_key);
  expect(holder.tenant_id).toBe(tenant.id);
  expect(holder.can({ action: 'create', subject: 'transaction' })).toBe(true);
  expect(holder.can({ action: 'read', subject: 'tenant' })).toBe(false);
});
