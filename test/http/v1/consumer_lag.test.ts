// How far the consumers are behind, as /metrics has it: what the route says of the tenant that is worst off, whoever is asked and since
// whenever it runs.
import pg from 'pg';
import { expect, test } from 'vitest';
import { z } from 'zod';
import type { Client } from '../../support/client.ts';
import { asSuperuser, atEnd, databaseUrl } from '../../support/database.ts';
import { anAccount, aTenant, aTransaction, type TestTenant } from '../../support/factories.ts';
import { startServer } from '../../support/server.ts';
import { waitFor } from '../../support/wait.ts';

// Nobody follows until the first test is done.
const server = await startServer({ CONSUMERS: 'off' });

const ListSchema = z.object({
  data: z.array(z.object({ name: z.string(), lag_events: z.number(), lag_seconds: z.number() })),
});

async function routeOf(api: Client, consumer: string) {
  const { data } = (await api.get('/v1/consumers')).as(ListSchema);
  const state = data.find(({ name }) => name === consumer);
  if (state === undefined) throw new Error(`there is no ${consumer}`);
  return state;
}

/** consumer → value */
async function metricOf({ url }: { url: string }, name: string): Promise<Map<string, number>> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const samples = text.matchAll(
    new RegExp(`^lattice_consumer_${name}\\{consumer="([^"]+)"\\} (\\S+)$`, 'gm'),
  );
  return new Map([...samples].map(([, consumer = '', value]) => [consumer, Number(value)]));
}

async function aBusyTenant() {
  const tenant = await aTenant();
  const api = server.client(tenant.api_key);
  const [debit, credit] = [await anAccount(api), await anAccount(api)];
  const post = () => aTransaction(api, { debit: debit.id, credit: credit.id });
  return { tenant, api, post };
}

/** As if it had failed too often; no event of ours makes it fail. */
async function park({ id }: TestTenant, consumer: string): Promise<void> {
  await waitFor('it has a position', async () => {
    const parked = await asSuperuser(
      z.unknown(),
      `update log.consumer set parked_at = now(), attempts = 8, reason = 'numeric field overflow'
       where tenant_id = $1 and name = $2 returning name`,
      [id, consumer],
    );
    return parked.length === 1;
  });
}

test('a process that follows nothing tells of what nobody follows', async () => {
  const { api, post } = await aBusyTenant();
  const began_ms = performance.now();
  for (let posts = 0; posts < 10; posts += 1) await post();
  const before_s = (performance.now() - began_ms) / 1_000;
  const { lag_events, lag_seconds } = await routeOf(api, 'balances');
  expect(lag_events).toBeGreaterThan(10);
  expect(lag_seconds).toBeGreaterThan(before_s);
  const events = await waitFor('it has read the last of them', async () => {
    const found = await metricOf(server, 'lag_events');
    return found.get('balances') === lag_events && found;
  });
  expect([...events]).toEqual(
    ['balances', 'balances_daily', 'invoices', 'reports', 'blocks', 'webhooks'].map((consumer) => [
      consumer,
      lag_events,
    ]),
  );
  for (const [, seconds] of await metricOf(server, 'lag_seconds')) {
    expect(seconds).toBeGreaterThanOrEqual(lag_seconds);
  }
  expect([...(await metricOf(server, 'parked_tenants')).values()]).toEqual([0, 0, 0, 0, 0, 0]);
});

test('a consumer that is stuck in its first slice after a start lags, and others do not', async () => {
  const { api, post } = await aBusyTenant();
  await post();
  const keeper = new pg.Client({ connectionString: databaseUrl('postgres') });
  await keeper.connect();
  atEnd(() => keeper.end());
  await keeper.query('begin');
  await keeper.query('lock table proofs.block in exclusive mode');
  const following = await startServer();
  await waitFor('the others have caught up', async () => {
    const events = await metricOf(following, 'lag_events');
    return events.get('balances') === 0 && events.get('webhooks') === 0;
  });
  const { lag_events, lag_seconds } = await routeOf(api, 'blocks');
  expect(lag_events).toBeGreaterThan(0);
  expect((await metricOf(following, 'lag_events')).get('blocks')).toBeGreaterThanOrEqual(lag_events);
  await waitFor('its age grows', async () => {
    const seconds = (await metricOf(following, 'lag_seconds')).get('blocks') ?? 0;
    return seconds > lag_seconds;
  });
  await keeper.query('rollback');
  await waitFor(
    'it has caught up',
    async () => (await metricOf(following, 'lag_seconds')).get('blocks') === 0,
  );
  await following.close();
});

test('a parked consumer lags as much after a restart as before, in events and in seconds', async () => {
  const { tenant, api, post } = await aBusyTenant();
  const first = await startServer();
  await waitFor('all is applied', async () => (await routeOf(api, 'balances')).lag_events === 0);
  await park(tenant, 'balances');
  await post();
  await first.close();
  await post();

  const second = await startServer();
  await post();
  const before = await routeOf(api, 'balances');
  expect(before).toMatchObject({ lag_events: 3 });
  await waitFor('the others have caught up', async () => {
    const events = await metricOf(second, 'lag_events');
    return events.get('balances') === 3 && events.get('webhooks') === 0;
  });
  const seconds = (await metricOf(second, 'lag_seconds')).get('balances');
  const after = await routeOf(api, 'balances');
  expect(seconds).toBeGreaterThanOrEqual(before.lag_seconds);
  expect(seconds).toBeLessThanOrEqual(after.lag_seconds);
  expect((await metricOf(second, 'parked_tenants')).get('balances')).toBe(1);
  // Who follows nothing says the same.
  await waitFor(
    'the other has read it',
    async () => (await metricOf(server, 'parked_tenants')).get('balances') === 1,
  );
  expect((await metricOf(server, 'lag_events')).get('balances')).toBe(3);

  const resumed = await api.post('/v1/consumer_resumptions', { consumer: 'balances' });
  expect(resumed.status).toBe(201);
  await waitFor('it has caught up', async () => {
    const found = await Promise.all([metricOf(second, 'lag_events'), metricOf(second, 'parked_tenants')]);
    return found.every((each) => each.get('balances') === 0);
  });
  await second.close();
});
