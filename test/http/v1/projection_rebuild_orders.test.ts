// Rebuilds of all tenants: how an order goes, canceled, and gone on with.
import { expect, test } from 'vitest';
import { z } from 'zod';
import { encodeId, newUuid } from '../../../src/id.ts';
import { eventsOf } from '../../modules/projections/rebuilding.ts';
import { anAccount, aPlatformKey, aTenant, aTransaction, type TestTenant } from '../../support/factories.ts';
import { startServer } from '../../support/server.ts';
import { waitFor } from '../../support/wait.ts';

/** Serves requests and follows no log: what it begins waits for another process. */
const server = await startServer({ CONSUMERS: 'off' });
const platform = server.client(await aPlatformKey());

const ProgressSchema = z.object({
  data: z.array(
    z.object({
      projection: z.string(),
      running: z.number(),
      swapped: z.number(),
      canceled: z.number(),
      failed: z.number(),
      positions_done: z.number(),
      positions_to_do: z.number(),
      progress: z.number(),
      difference_count: z.number(),
    }),
  ),
});
const OrderSchema = z.looseObject({ id: z.string() });

async function progressOf(query = '') {
  const { data } = (await platform.get(`/v1/projection_rebuilds${query}`)).as(ProgressSchema);
  return new Map(data.map(({ projection, ...rest }) => [projection, rest]));
}

async function aPast(): Promise<TestTenant> {
  const tenant = await aTenant();
  const api = server.client(tenant.api_key);
  const [debit, credit] = [await anAccount(api), await anAccount(api)];
  await aTransaction(api, { debit: debit.id, credit: credit.id });
  return tenant;
}

test('an order for all tenants tells how far it is, is canceled, and gone on with', async () => {
  const tenants = [await aPast(), await aPast(), await aPast()];
  // The platform has a log of its own.
  const logs = tenants.length + 1;
  const counts = { running: 0, swapped: 0, canceled: 0, failed: 0 };
  const none = { ...counts, positions_done: 0, positions_to_do: 0 };
  expect([...(await progressOf()).values()]).toEqual(
    ['balances', 'balances_daily', 'invoices', 'reports'].map(() => ({
      ...none,
      progress: 1,
      difference_count: 0,
    })),
  );
  expect((await platform.post('/v1/projection_rebuild_cancellations', {})).body).toMatchObject({
    status: 409,
    code: 'rebuild_not_running',
  });

  const order = (await platform.post('/v1/projection_rebuilds', { projections: ['balances', 'reports'] })).as(
    OrderSchema,
  );
  const begun = await progressOf(`?order=${order.id}`);
  for (const name of ['balances', 'reports']) {
    const { positions_to_do, ...rest } = begun.get(name) ?? none;
    expect(rest).toEqual({ ...counts, running: logs, positions_done: 0, progress: 0, difference_count: 0 });
    expect(positions_to_do).toBeGreaterThanOrEqual(3 * tenants.length);
  }
  expect(begun.get('invoices')?.running).toBe(0);
  expect((await progressOf(`?order=${encodeId('rebuild', newUuid())}`)).get('balances')?.running).toBe(0);

  const body = { projection: 'balances' };
  const canceled = await platform.post('/v1/projection_rebuild_cancellations', body, { key: 'enough' });
  expect([canceled.status, canceled.body]).toEqual([
    201,
    { projections: ['balances'], running_count: logs, canceled_at: expect.any(String), status: 'canceled' },
  ]);
  const after = await progressOf(`?order=${order.id}`);
  expect([
    after.get('balances')?.canceled,
    after.get('balances')?.running,
    after.get('reports')?.running,
  ]).toEqual([logs, 0, logs]);

  const again = (
    await platform.post('/v1/projection_rebuilds', { projections: ['balances'], from: 'kept' })
  ).as(OrderSchema);
  const replayed = await platform.post('/v1/projection_rebuild_cancellations', body, { key: 'enough' });
  expect(replayed.text).toBe(canceled.text);
  expect((await progressOf(`?order=${again.id}&projection=balances`)).get('balances')?.running).toBe(logs);

  const other = await startServer();
  const done = await waitFor('nothing is rebuilt any longer', async () => {
    const progress = await progressOf();
    return [...progress.values()].every((each) => each.running === 0) ? progress : null;
  });
  await other.close();
  expect(done.get('balances')).toEqual({
    ...none,
    swapped: logs,
    positions_done: done.get('balances')?.positions_to_do,
    positions_to_do: expect.any(Number),
    progress: 1,
    difference_count: 0,
  });
  for (const tenant of tenants) {
    expect((await eventsOf(server.client(tenant.api_key))).toSorted()).toEqual([
      'rebuild_canceled',
      ...['rebuild_started', 'rebuild_started', 'rebuild_started'],
      ...['rebuild_swapped', 'rebuild_swapped'],
    ]);
  }
});

test('more orders at the same moment than there are connections are all begun', async () => {
  const narrow = await startServer({ CONSUMERS: 'off', DATABASE_POOL_SIZE: '2' });
  const client = narrow.client(await aPlatformKey());
  const tenants = await Promise.all(Array.from({ length: 8 }, () => aTenant()));
  const answers = await Promise.all(
    tenants.map(({ id }) =>
      client.post(`/v1/tenants/${encodeId('tenant', id)}/projection_rebuilds`, { projections: ['balances'] }),
    ),
  );
  expect(answers.map(({ status }) => status)).toEqual(tenants.map(() => 201));
});

test('what is not there is a clear problem', async () => {
  const nothing = { projection: 'nothing' };
  expect((await platform.post('/v1/projection_rebuild_cancellations', nothing)).body).toMatchObject({
    status: 404,
    code: 'not_found',
    errors: [{ pointer: '#/projection' }],
  });
  expect((await platform.get('/v1/projection_rebuilds?projection=nothing')).body).toMatchObject({
    status: 404,
  });
  expect((await platform.get('/v1/projection_rebuilds?order=evt_1')).body).toMatchObject({ status: 400 });
});
