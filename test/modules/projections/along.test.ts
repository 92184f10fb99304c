// Consumers that go along with another: one transaction for all of them while all is well, and none held up by another's trouble.
import { expect, test } from 'vitest';
import { z } from 'zod';
import { asSuperuser } from '../../support/database.ts';
import { aTenant, type TestTenant } from '../../support/factories.ts';
import { startServer } from '../../support/server.ts';
import { waitFor } from '../../support/wait.ts';

const server = await startServer({ LOG_LEVEL: 'silent' });

const StateSchema = z.object({
  name: z.string(),
  position: z.number(),
  attempts: z.number(),
  moved_by: z.string(),
});

/** How far each has come, and which transaction moved it there. */
async function statesOf(tenant: TestTenant) {
  const text = `
    select name, position::integer as position, attempts, xmin::text as moved_by
    from log.consumer
    where tenant_id = $1 and name in ('balances', 'balances_daily', 'reports')
    order by name`;
  return asSuperuser(StateSchema, text, [tenant.id]);
}

async function post(tenant: TestTenant): Promise<number> {
  const entries = [
    { account: 'bank', direction: 'debit', amount: '5' },
    { account: 'revenue', direction: 'credit', amount: '5' },
  ];
  const posted = await server.client(tenant.api_key).post('/v1/transactions', { entries });
  expect(posted.status).toBe(201);
  return z.object({ position: z.number() }).parse(posted.body).position;
}

async function aTenantWithAccounts(): Promise<TestTenant> {
  const tenant = await aTenant();
  const api = server.client(tenant.api_key);
  for (const [code, type] of Object.entries({ bank: 'asset', revenue: 'revenue' })) {
    expect((await api.post('/v1/accounts', { code, name: code, type, currency: 'EUR' })).status).toBe(201);
  }
  return tenant;
}

/** Posts until one transaction has moved all three to a posting. */
async function goTogether(tenant: TestTenant): Promise<void> {
  await waitFor('they go along', async () => {
    const position = await post(tenant);
    return waitFor('they have come to the posting', async () => {
      const states = await statesOf(tenant);
      if (states.length < 3 || states.some((state) => state.position < position)) return null;
      return { together: new Set(states.map(({ moved_by }) => moved_by)).size === 1 };
    }).then(({ together }) => together);
  });
}

test('what follows the same entries is moved by one transaction', async () => {
  await goTogether(await aTenantWithAccounts());
});

test('one that fails holds up no other, and goes along again when its cause is gone', async () => {
  const tenant = await aTenantWithAccounts();
  await goTogether(tenant);
  const constraint = `reports_broken_${tenant.id.replaceAll('-', '_')}`;
  await asSuperuser(
    z.unknown(),
    `alter table projection.reports_v add constraint ${constraint} check (tenant_id <> '${tenant.id}') not valid`,
  );
  const position = await post(tenant);
  const states = await waitFor(
    'the others have come to the posting, and the one that fails has failed',
    async () => {
      const found = await statesOf(tenant);
      const others = found.filter(({ name }) => name !== 'reports');
      const has_failed = found.some(({ name, attempts }) => name === 'reports' && attempts > 0);
      return has_failed && others.every((state) => state.position >= position) ? found : null;
    },
  );
  expect(states).toMatchObject([
    { name: 'balances', position, attempts: 0 },
    { name: 'balances_daily', position, attempts: 0 },
    { name: 'reports', position: position - 1 },
  ]);
  const next = await post(tenant);
  await waitFor('the others go on', async () =>
    (await statesOf(tenant)).every((state) => state.name === 'reports' || state.position >= next),
  );
  await asSuperuser(z.unknown(), `alter table projection.reports_v drop constraint ${constraint}`);
  await goTogether(tenant);
});
