// Projections as the platform and a tenant see them: rebuilt while everything goes on, dropped, recounted.
import { expect, test } from 'vitest';
import { z } from 'zod';
import { encodeId } from '../../../src/id.ts';
import { randomBooks } from '../../modules/ledger/random_books.ts';
import {
  balancesOf,
  differencesOf,
  eventsOf,
  pathOf,
  postAndRead,
  rebuildBalances,
  rebuilt,
  StatesSchema,
  versionsIn,
} from '../../modules/projections/rebuilding.ts';
import { asSuperuser } from '../../support/database.ts';
import { aPlatformKey, aTenant, type TestTenant } from '../../support/factories.ts';
import { startServer } from '../../support/server.ts';
import { waitFor } from '../../support/wait.ts';

const server = await startServer();
const platform = server.client(await aPlatformKey());

async function aPast(seed: number, count = 300): Promise<TestTenant> {
  const tenant = await aTenant();
  await randomBooks(server.client(tenant.api_key), seed, count);
  await waitFor('the balances are carried forward', async () => {
    const { lag_events } = await balancesOf(platform, tenant);
    return lag_events === 0;
  });
  return tenant;
}

/** All balances of a tenant, as it reads them. */
async function readAll(tenant: TestTenant): Promise<unknown> {
  const answer = await server.client(tenant.api_key).get('/v1/trial_balance');
  return answer.as(z.looseObject({ data: z.unknown() })).data;
}

test('a projection is rebuilt beside the one that is read, and takes its place', async () => {
  const tenant = await aPast(1);
  const before = await readAll(tenant);
  expect(await balancesOf(platform, tenant)).toMatchObject({ version: 1, kept: null, rebuild: null });
  await rebuildBalances(platform, tenant);
  expect(await rebuilt(platform, tenant)).toMatchObject({
    version: 2,
    kept: { version: 1 },
    rebuild: {
      number: 1,
      version: 2,
      status: 'swapped',
      progress: 1,
      previous_version: 1,
      difference_count: 0,
      from_position: 0,
      reason: null,
    },
  });
  expect(await differencesOf(platform, tenant)).toBe(0);
  expect(await readAll(tenant)).toEqual(before);
  expect(await versionsIn('balances_v', tenant)).toEqual([1, 2]);
  expect(await eventsOf(server.client(tenant.api_key))).toEqual(['rebuild_started', 'rebuild_swapped']);
});

test('all projections of a tenant are rebuilt by one request, and each comes to the same rows', async () => {
  const tenant = await aPast(11);
  const answer = await platform.post(`${pathOf(tenant)}/projection_rebuilds`, {});
  const { projections } = answer.as(z.looseObject({ projections: z.array(z.string()) }));
  const data = await waitFor('all have been rebuilt', async () => {
    const states = (await platform.get(`${pathOf(tenant)}/projections`)).as(StatesSchema).data;
    return states.some(({ rebuild }) => rebuild?.status === 'running') ? null : states;
  });
  expect(data.map(({ name }) => name)).toEqual(projections);
  for (const { version, rebuild } of data) {
    expect([version, rebuild?.status, rebuild?.difference_count]).toEqual([2, 'swapped', 0]);
  }
});

test('reads are exact while a projection is rebuilt and posted to, again and again', async () => {
  const tenant = await aPast(2);
  const postings = [1, 2, 3].map(() => postAndRead(server.client(tenant.api_key)));
  for (let version = 2; version < 6; version += 1) {
    await rebuildBalances(platform, tenant);
    expect(await rebuilt(platform, tenant)).toMatchObject({
      version,
      rebuild: { status: 'swapped', difference_count: 0 },
    });
  }
  for (const { stop } of postings) expect(await stop()).toBeGreaterThan(3);
  expect(await differencesOf(platform, tenant)).toBe(0);
  // What was kept before the last one is gone.
  expect(await versionsIn('balances_v', tenant)).toEqual([4, 5]);
}, 60_000);

test('a row that is wrong is found by the recount and the rebuild, and right afterwards', async () => {
  const tenant = await aPast(3);
  const api = server.client(tenant.api_key);
  const before = await readAll(tenant);
  const corrupted = await asSuperuser(
    z.object({ account_id: z.string() }),
    `update projection.balances_v set posted_debits = posted_debits + 1
     where tenant_id = $1 and account_id = (select min(account_id::text)::uuid from projection.balances_v where tenant_id = $1)
     returning account_id`,
    [tenant.id],
  );
  expect(await readAll(tenant)).not.toEqual(before);
  expect(await differencesOf(platform, tenant)).toBe(1);
  expect((await api.get('/v1/projection_differences')).body).toMatchObject({
    data: expect.arrayContaining([
      expect.objectContaining({
        projection: 'balances',
        difference_count: 1,
        differences: [
          expect.objectContaining({ what: expect.stringContaining(corrupted[0]?.account_id ?? '') }),
        ],
      }),
    ]),
  });
  await rebuildBalances(platform, tenant);
  expect(await rebuilt(platform, tenant)).toMatchObject({
    version: 2,
    rebuild: { status: 'swapped', difference_count: 1 },
  });
  const own = (await api.get('/v1/projections')).as(z.object({ data: z.array(z.unknown()) }));
  expect(own.data[0]).toMatchObject({
    name: 'balances',
    rebuild: { differences: [{ table: 'balances_v', key: corrupted[0] }] },
  });
  expect(await readAll(tenant)).toEqual(before);
  expect(await differencesOf(platform, tenant)).toBe(0);
});

test('a difference keeps the new version from being read, if so asked', async () => {
  const tenant = await aPast(4);
  await asSuperuser(
    z.unknown(),
    'update projection.balances_v set entry_count = entry_count + 256 where tenant_id = $1',
    [tenant.id],
  );
  await rebuildBalances(platform, tenant, { stops_on_difference: true });
  expect(await rebuilt(platform, tenant)).toMatchObject({
    version: 1,
    kept: { version: 2 },
    rebuild: { status: 'failed', difference_count: 4, reason: '4 rows differ' },
  });
  // What was built is there, and can be read after all.
  await rebuildBalances(platform, tenant, { from: 'kept' });
  expect(await rebuilt(platform, tenant)).toMatchObject({ version: 2, rebuild: { status: 'swapped' } });
  expect(await differencesOf(platform, tenant)).toBe(0);
  expect(await eventsOf(server.client(tenant.api_key))).toEqual([
    'rebuild_started',
    'rebuild_failed',
    'rebuild_started',
    'rebuild_swapped',
  ]);
});

test('the version before is kept, is gone back to without counting from the beginning, and is dropped', async () => {
  const tenant = await aPast(5);
  await rebuildBalances(platform, tenant);
  const { kept } = await rebuilt(platform, tenant);
  await rebuildBalances(platform, tenant, { from: 'kept' });
  expect(await rebuilt(platform, tenant)).toMatchObject({
    version: 1,
    kept: { version: 2 },
    rebuild: { number: 2, version: 1, from_position: kept?.position, difference_count: 0 },
  });
  const dropped = await platform.post(`${pathOf(tenant)}/projection_drops`, { projection: 'balances' });
  expect(dropped.body).toMatchObject({ projection: 'balances', version: null, kept_version: 2 });
  expect(await balancesOf(platform, tenant)).toMatchObject({ version: 1, kept: null });
  expect(await versionsIn('balances_v', tenant)).toEqual([1]);
  expect(await differencesOf(platform, tenant)).toBe(0);
  const again = await platform.post(`${pathOf(tenant)}/projection_drops`, { projection: 'balances' });
  expect(again.body).toMatchObject({ status: 409, code: 'version_not_kept' });
  // Numbers are not used twice.
  await rebuildBalances(platform, tenant);
  expect(await rebuilt(platform, tenant)).toMatchObject({ version: 3, kept: { version: 1 } });
});

test('all versions are dropped while they are read: balances are exact, and the consumer builds them again', async () => {
  const tenant = await aPast(6);
  const before = await readAll(tenant);
  const posting = postAndRead(server.client(tenant.api_key));
  const dropped = await platform.post(`${pathOf(tenant)}/projection_drops`, {
    projection: 'balances',
    versions: 'all',
  });
  expect(dropped.body).toMatchObject({ version: 1, kept_version: null });
  expect(await versionsIn('balances_v', tenant)).not.toContain(1);
  await waitFor('the consumer has caught up', async () => {
    const { version, lag_events } = await balancesOf(platform, tenant);
    return version === 2 && lag_events < 50;
  });
  expect(await posting.stop()).toBeGreaterThan(0);
  expect(await differencesOf(platform, tenant)).toBe(0);
  expect(await readAll(tenant)).toEqual(expect.arrayContaining(Array.isArray(before) ? before : []));
});

test('a parked projection is replaced by one that was built beside it', async () => {
  const tenant = await aPast(7);
  await asSuperuser(
    z.unknown(),
    `update log.consumer set parked_at = now(), attempts = 8, reason = 'numeric field overflow'
     where tenant_id = $1 and name = 'balances'`,
    [tenant.id],
  );
  await postAndRead(server.client(tenant.api_key)).stop();
  await rebuildBalances(platform, tenant);
  expect(await rebuilt(platform, tenant)).toMatchObject({ version: 2, rebuild: { status: 'swapped' } });
  await waitFor('it follows the log', async () => (await balancesOf(platform, tenant)).lag_events === 0);
  expect(await differencesOf(platform, tenant)).toBe(0);
});

test('the projections of all tenants are rebuilt by one request', async () => {
  const tenants = [await aPast(8, 20), await aPast(9, 20), await aPast(10, 20)];
  const body = { projections: ['balances'] };
  const answer = await platform.post('/v1/projection_rebuilds', body, { key: 'all-of-them' });
  expect(answer.body).toMatchObject({ projections: ['balances'], status: 'running', from: 'start' });
  for (const tenant of tenants) {
    const { version, rebuild } = await rebuilt(platform, tenant);
    expect([version, rebuild?.status]).toEqual([2, 'swapped']);
  }
  const replayed = await platform.post('/v1/projection_rebuilds', body, { key: 'all-of-them' });
  expect(replayed.text).toBe(answer.text);
  for (const tenant of tenants) {
    expect((await rebuilt(platform, tenant)).rebuild?.number).toBe(1);
  }
});

test('what is not there is a clear problem', async () => {
  const tenant = await aTenant();
  const path = pathOf(tenant);
  const codes: [string, unknown, string][] = [
    [`${path}/projection_rebuilds`, { projections: ['nothing'] }, 'not_found'],
    [`${path}/projection_rebuilds`, { projections: [] }, 'invalid_request'],
    [`${path}/projection_rebuilds`, { from: 'kept', projections: ['balances'] }, 'version_not_kept'],
    [`${path}/projection_rebuild_cancellations`, { projection: 'nothing' }, 'not_found'],
    [`${path}/projection_rebuild_cancellations`, { projection: 'balances' }, 'rebuild_not_running'],
    [`${path}/projection_drops`, { projection: 'nothing' }, 'not_found'],
    [`${path}/projection_drops`, { projection: 'balances' }, 'version_not_kept'],
    ['/v1/projection_rebuilds', { projections: ['nothing'] }, 'not_found'],
  ];
  for (const [target, body, code] of codes) {
    expect((await platform.post(target, body)).body, target).toMatchObject({ code });
  }
  const missing = encodeId('tenant', '01900000-0000-7000-8000-000000000000');
  for (const what of ['rebuilds', 'drops', 'rebuild_cancellations']) {
    const body = what === 'rebuilds' ? {} : { projection: 'balances' };
    const answer = await platform.post(`/v1/tenants/${missing}/projection_${what}`, body);
    expect(answer.body).toMatchObject({ status: 404, code: 'not_found' });
  }
  expect((await platform.get(`${path}/projection_differences?projection=nothing`)).body).toMatchObject({
    status: 404,
  });
  expect((await platform.get(`/v1/tenants/${missing}/projections`)).body).toMatchObject({ status: 404 });
});
