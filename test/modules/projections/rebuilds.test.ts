// Rebuilds that are held up: asked for twice, canceled, gone on with by another process, killed.
import pg from 'pg';
import { expect, inject, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { parseQueries, platform_tenant_id } from '../../../src/db.ts';
import { newUuid } from '../../../src/id.ts';
import { balances } from '../../../src/modules/projections/balances.ts';
import { applyLiveSlice, maybeSwap, startRebuilds } from '../../../src/modules/projections/rebuilds.ts';
import { asSuperuser, database, databaseUrl } from '../../support/database.ts';
import { aPlatformKey, aTenant, type TestTenant } from '../../support/factories.ts';
import { startProcess } from '../../support/process.ts';
import { startServer } from '../../support/server.ts';
import { waitFor } from '../../support/wait.ts';
import { randomBooks } from '../ledger/random_books.ts';
import {
  balancesOf,
  differencesOf,
  eventsOf,
  pathOf,
  postAndRead,
  rebuildBalances,
  rebuilt,
} from './rebuilding.ts';

/** each with a kill */
const rounds = Math.min(inject('fault_rounds'), 8);

/** Serves requests and follows no log: what it is asked to rebuild waits for another process. */
const server = await startServer({ CONSUMERS: 'off' });
const platform = server.client(await aPlatformKey());

const [commits] = parseQueries(
  "-- name: commits\nselect current_setting('synchronous_commit') as wait;",
).values();
if (commits === undefined) throw new Error('there is one query');
const CommitsSchema = z.object({ wait: z.string() });

async function aPast(seed: number, count: number): Promise<TestTenant> {
  const tenant = await aTenant();
  await randomBooks(server.client(tenant.api_key), seed, count);
  return tenant;
}

test('a rebuild asked for twice is a 409, and canceled it can be gone on with', async () => {
  const tenant = await aPast(1, 100);
  const path = pathOf(tenant);
  await rebuildBalances(platform, tenant);
  const twice = await platform.post(`${path}/projection_rebuilds`, {});
  expect(twice.body).toMatchObject({ status: 409, code: 'rebuild_running' });
  const drop = await platform.post(`${path}/projection_drops`, { projection: 'balances', versions: 'all' });
  expect(drop.body).toMatchObject({ status: 409, code: 'rebuild_running' });

  const cancel = { projection: 'balances' };
  const canceled = await platform.post(`${path}/projection_rebuild_cancellations`, cancel);
  expect(canceled.body).toMatchObject({ number: 1, version: 2, status: 'canceled' });
  const again = await platform.post(`${path}/projection_rebuild_cancellations`, cancel);
  expect(again.body).toMatchObject({ status: 409, code: 'rebuild_not_running' });
  expect(await balancesOf(platform, tenant)).toMatchObject({
    version: 1,
    kept: { version: 2 },
    rebuild: { status: 'canceled' },
  });

  await rebuildBalances(platform, tenant, { from: 'kept' });
  const other = await startServer();
  expect(await rebuilt(platform, tenant)).toMatchObject({
    version: 2,
    rebuild: { number: 2, version: 2, status: 'swapped' },
  });
  await other.close();
  expect(await differencesOf(platform, tenant)).toBe(0);
  expect(await eventsOf(server.client(tenant.api_key))).toEqual([
    'rebuild_started',
    'rebuild_canceled',
    'rebuild_started',
    'rebuild_swapped',
  ]);
});

test('of those who ask for a rebuild at the same moment, at two processes, one is answered and the others are a 409', async () => {
  const tenant = await aPast(8, 20);
  const other = (await startServer({ CONSUMERS: 'off' })).client(await aPlatformKey());
  const ask = (index: number) =>
    (index % 2 === 0 ? platform : other).post(
      `${pathOf(tenant)}/projection_rebuilds`,
      // Named in either order, and never half of what is named.
      { projections: index % 3 === 0 ? ['reports', 'balances'] : ['balances', 'reports'] },
      { key: `rebuild-${index}` },
    );
  const answers = await Promise.all(Array.from({ length: 8 }, (_, index) => ask(index)));
  expect(answers.map(({ status }) => status).toSorted()).toEqual([201, ...Array(7).fill(409)]);
  const refused = answers.filter(({ status }) => status === 409);
  for (const { body } of refused) expect(body).toMatchObject({ code: 'rebuild_running' });
  expect(await eventsOf(server.client(tenant.api_key))).toEqual(['rebuild_started', 'rebuild_started']);
  for (const [index, answer] of answers.entries()) expect((await ask(index)).text).toBe(answer.text);
});

test('a rebuild whose answer was lost is the same one for whoever repeats the request', async () => {
  const tenant = await aPast(9, 20);
  const ask = () =>
    platform.post(`${pathOf(tenant)}/projection_rebuilds`, { projections: ['balances'] }, { key: 'lost' });
  const first = await ask();
  // As when the process ends between the rebuild and its answer.
  const lost = 'delete from log.idempotency_key where tenant_id = $1 and body = $2 returning status';
  expect(await asSuperuser(z.unknown(), lost, [platform_tenant_id, first.text])).toEqual([{ status: 201 }]);
  const again = await ask();
  expect([again.status, again.text]).toEqual([201, first.text]);
  expect(await eventsOf(server.client(tenant.api_key))).toEqual(['rebuild_started']);
});

test('a rebuild of several projections of which one runs begins none of them', async () => {
  const tenant = await aPast(10, 20);
  await rebuildBalances(platform, tenant, { projections: ['reports'] });
  const all = await platform.post(`${pathOf(tenant)}/projection_rebuilds`, {});
  expect(all.body).toMatchObject({ code: 'rebuild_running', detail: 'reports is being rebuilt' });
  expect((await balancesOf(platform, tenant)).rebuild).toBeNull();
});

test('a swap that has to apply the rest itself waits for the disk: its event is told to others', async () => {
  const tenant = await aPast(7, 50);
  const apply = { tenant_id: tenant.id, consumer: balances.name, limit: 1_000 };
  await database.call(balances.apply, apply, z.unknown());
  const order = { order_id: newUuid(), from_kept: false, stops_on_difference: false };
  await database.transaction(tenant.actor, (tx) => startRebuilds(tx, [balances], order));
  const rebuild = { projection: balances, number: 1, version: 2 };
  const swapped = await database.transaction(tenant.actor, async (tx) => {
    const before = await tx.one(commits, {}, CommitsSchema);
    const outcome = await maybeSwap(tx, rebuild);
    return { outcome, before, after: await tx.one(commits, {}, CommitsSchema) };
  });
  expect(swapped).toEqual({ outcome: 'swapped', before: { wait: 'on' }, after: { wait: 'on' } });
  const slice = await database.transaction(tenant.actor, async (tx) => {
    await applyLiveSlice(tx, rebuild, 1);
    return tx.one(commits, {}, CommitsSchema);
  });
  expect(slice).toEqual({ wait: 'off' });
});

test('two processes carry one rebuild forward, and apply each position once', async () => {
  const tenant = await aPast(2, 1_000);
  await rebuildBalances(platform, tenant);
  const others = await Promise.all([startServer(), startServer()]);
  expect(await rebuilt(platform, tenant)).toMatchObject({ version: 2, rebuild: { status: 'swapped' } });
  for (const other of others) await other.close();
  expect(await differencesOf(platform, tenant)).toBe(0);
});

test('a process that is killed while it rebuilds is followed by one that goes on where it stood', async () => {
  const tenant = await aPast(3, 1_000);
  await randomPostings(tenant, 5_500);
  const posting = postAndRead(server.client(tenant.api_key));
  for (let number = 1; number <= rounds; number += 1) {
    const gate = await shutGate();
    await rebuildBalances(platform, tenant);
    const first = await startProcess();
    await waitFor('its second slice is applied but for its end', gate.isReached, { timeout_ms: 60_000 });
    const { rebuild: reached } = await balancesOf(platform, tenant);
    expect(reached?.position).toBeGreaterThan(0);
    expect(await first.end('SIGKILL')).toBe('SIGKILL');
    await gate.open();
    const { rebuild: left } = await balancesOf(platform, tenant);
    expect(left).toMatchObject({ status: 'running', position: reached?.position });

    const second = await startProcess();
    expect(await rebuilt(platform, tenant)).toMatchObject({
      version: number + 1,
      rebuild: { number, version: number + 1, status: 'swapped' },
    });
    expect(await second.end('SIGTERM')).toBe(0);
  }
  expect(await posting.stop()).toBeGreaterThan(10);
  expect(await differencesOf(platform, tenant)).toBe(0);
}, 480_000);

/** Nothing that is rebuilt comes to the end of its second slice until the gate is opened. */
async function shutGate() {
  const keeper = new pg.Client({ connectionString: databaseUrl('postgres') });
  await keeper.connect();
  onTestFinished(() => keeper.end());
  await keeper.query(`
    select pg_advisory_lock(1);
    create or replace function public.wait_at_gate() returns trigger language plpgsql as $$
    begin
      perform pg_advisory_xact_lock(1);
      return new;
    end
    $$;
    create trigger gate before update on log.consumer for each row
      when (old.name like '%:rebuild' and old.position > 0 and new.position > old.position)
      execute function public.wait_at_gate()`);
  return {
    isReached: async () => {
      const waiting = `select 1 from pg_locks
        where locktype = 'advisory' and not granted and database = (select oid from pg_database where datname = current_database())`;
      return (await keeper.query(waiting)).rows.length > 0;
    },
    open: async () => {
      await keeper.query('select pg_advisory_unlock(1)');
      await keeper.query('drop trigger gate on log.consumer');
    },
  };
}

/** Many more, on the accounts that are there. */
async function randomPostings(tenant: TestTenant, count: number): Promise<void> {
  const transactions = Array.from({ length: count }, (_, index) => ({
    entries: [
      { account: 'cash', direction: 'debit', amount: String(1 + (index % 97)) },
      {
        account: index % 2 === 0 ? 'fees' : 'customers:a',
        direction: 'credit',
        amount: String(1 + (index % 97)),
      },
    ],
  }));
  const answer = await server
    .client(tenant.api_key)
    .post('/v1/transactions/bulk', { atomic: false, transactions });
  expect(answer.status).toBe(200);
}
