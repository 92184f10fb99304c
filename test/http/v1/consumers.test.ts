import { expect, test } from 'vitest';
import { z } from 'zod';
import { platform_tenant_id } from '../../../src/db.ts';
import { encodeId } from '../../../src/id.ts';
import { asSuperuser } from '../../support/database.ts';
import { anAccount, aPlatformKey, aTenant, aTransaction, type TestTenant } from '../../support/factories.ts';
import { startServer } from '../../support/server.ts';
import { waitFor } from '../../support/wait.ts';

const server = await startServer();

const ListSchema = z.object({
  data: z.array(
    z.looseObject({
      name: z.string(),
      status: z.string(),
      position: z.number(),
      head_position: z.number(),
      lag_events: z.number(),
      parked_at: z.string().nullable(),
    }),
  ),
});

async function balancesOf(tenant: TestTenant) {
  const { data } = (await server.client(tenant.api_key).get('/v1/consumers')).as(ListSchema);
  const balances = data.find(({ name }) => name === 'balances');
  if (balances === undefined) throw new Error('balances are not followed');
  return balances;
}

/** As if it had failed too often; no event of ours makes it fail. */
async function park(tenant: { id: string }): Promise<void> {
  await waitFor('the balances have a position', async () => {
    const parked = await asSuperuser(
      z.unknown(),
      `update log.consumer set parked_at = now(), attempts = 8, reason = 'numeric field overflow'
       where tenant_id = $1 and name = 'balances' returning name`,
      [tenant.id],
    );
    return parked.length === 1;
  });
}

async function transacted(tenant: TestTenant): Promise<void> {
  const api = server.client(tenant.api_key);
  const [debit, credit] = [await anAccount(api), await anAccount(api)];
  await aTransaction(api, { debit: debit.id, credit: credit.id });
}

test('a tenant sees how far what is derived from its log has come', async () => {
  const tenant = await aTenant();
  await transacted(tenant);
  const caught_up = await waitFor('the balances are carried forward', async () => {
    const state = await balancesOf(tenant);
    return state.lag_events === 0 ? state : null;
  });
  expect(caught_up).toEqual({
    name: 'balances',
    description: expect.any(String),
    status: 'following',
    position: 4,
    head_position: 4,
    lag_events: 0,
    lag_seconds: 0,
    moved_at: expect.stringMatching(/^2.*Z$/),
    attempts: 0,
    next_attempt_at: null,
    parked_at: null,
    reason: null,
  });
});

test('a parked consumer stands still until it is resumed; the log says by whom', async () => {
  const tenant = await aTenant();
  const api = server.client(tenant.api_key);
  await park(tenant);
  await transacted(tenant);
  const parked = await balancesOf(tenant);
  expect(parked).toMatchObject({ status: 'parked', attempts: 8, reason: 'numeric field overflow' });
  expect(parked.lag_events).toBeGreaterThan(0);

  const key = 'resume-balances';
  const resumed = await api.post('/v1/consumer_resumptions', { consumer: 'balances' }, { key });
  expect([resumed.status, resumed.body]).toEqual([201, { consumer: 'balances', status: 'following' }]);
  await waitFor('it has caught up', async () => (await balancesOf(tenant)).lag_events === 0);
  expect(await balancesOf(tenant)).toMatchObject({ status: 'following', attempts: 0, reason: null });

  const again = await api.post('/v1/consumer_resumptions', { consumer: 'balances' }, { key });
  expect([again.status, again.headers.get('idempotent-replayed')]).toEqual([201, 'true']);
  const events = await api.get('/v1/events?types=log.consumer_resumed');
  expect(events.body).toMatchObject({
    data: [
      {
        subject: encodeId('tenant', tenant.id),
        actor_id: encodeId('key', tenant.actor.actor_id),
        data: { consumer: 'balances' },
      },
    ],
  });
});

test('what is not parked, or does not exist, is not resumed', async () => {
  const tenant = await aTenant();
  const api = server.client(tenant.api_key);
  const refusals = [];
  for (const consumer of ['balances', 'nothing']) {
    const answer = await api.post('/v1/consumer_resumptions', { consumer });
    refusals.push([answer.status, z.looseObject({ code: z.string() }).parse(answer.body).code]);
  }
  expect(refusals).toEqual([
    [409, 'consumer_not_parked'],
    [404, 'not_found'],
  ]);
});

test('the platform sees and resumes the consumers of a tenant, whose log says so once', async () => {
  const [tenant, platform] = [await aTenant(), server.client(await aPlatformKey())];
  const path = `/v1/tenants/${encodeId('tenant', tenant.id)}`;
  await park(tenant);
  const { data } = (await platform.get(`${path}/consumers`)).as(ListSchema);
  const parked_at = data.find(({ name }) => name === 'balances')?.parked_at;
  const key = `resume ${tenant.slug}`.replace(' ', '-');
  for (const replayed of [null, 'true']) {
    const answer = await platform.post(`${path}/consumer_resumptions`, { consumer: 'balances' }, { key });
    expect([answer.status, answer.headers.get('idempotent-replayed'), answer.body]).toEqual([
      201,
      replayed,
      { tenant_id: encodeId('tenant', tenant.id), consumer: 'balances', status: 'following', parked_at },
    ]);
  }
  await waitFor('it has caught up', async () => (await balancesOf(tenant)).lag_events === 0);
  // A parking that came later is not ended by repeating the request for the earlier one.
  await park(tenant);
  await platform.post(`${path}/consumer_resumptions`, { consumer: 'balances' }, { key });
  expect(await balancesOf(tenant)).toMatchObject({ status: 'parked' });
  const events = await server.client(tenant.api_key).get('/v1/events?types=log.consumer_resumed');
  expect(z.object({ data: z.array(z.unknown()) }).parse(events.body).data).toHaveLength(1);
});

test("a platform key sees the consumers of the platform's own log as it does a tenant's, and resumes one", async () => {
  await aTenant();
  const platform = server.client(await aPlatformKey());
  const path = `/v1/tenants/${encodeId('tenant', platform_tenant_id)}`;
  await park({ id: platform_tenant_id });
  for (const list of [`${path}/consumers`, '/v1/consumers']) {
    const { data } = (await platform.get(list)).as(ListSchema);
    expect(data.find(({ name }) => name === 'balances')).toMatchObject({ status: 'parked' });
  }
  const resumed = await platform.post(`${path}/consumer_resumptions`, { consumer: 'balances' });
  expect(resumed.body).toMatchObject({
    tenant_id: encodeId('tenant', platform_tenant_id),
    status: 'following',
  });
  await waitFor('it follows again', async () => {
    const { data } = (await platform.get(`${path}/consumers`)).as(ListSchema);
    return data.find(({ name, lag_events }) => name === 'balances' && lag_events === 0) ?? null;
  });
  const events = await platform.get('/v1/events?types=log.consumer_resumed');
  expect(z.object({ data: z.array(z.unknown()) }).parse(events.body).data).toHaveLength(1);
});

test('a consumer that is parked shows in the metrics', async () => {
  const tenant = await aTenant();
  await park(tenant);
  await transacted(tenant);
  await waitFor('the metric counts it', async () => {
    const response = await fetch(`${server.url}/metrics`);
    const parked = /lattice_consumer_parked_tenants\{consumer="balances"\} (\d+)/.exec(await response.text());
    return Number(parked?.[1]) >= 1;
  });
});
