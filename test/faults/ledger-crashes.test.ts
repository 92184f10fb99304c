// The process dies, Postgres dies, the cable between them is cut, all under traffic. Afterwards what was acknowledged is there once, and
// what was unknown is resolved by its key.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import pg from 'pg';
import { afterAll, expect, inject, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { Database } from '../../src/db.ts';
import { createLogger } from '../../src/log.ts';
import { Cable, type Cut } from '../model/cable.ts';
import { Traffic, traffic_accounts } from '../model/traffic.ts';
import { startCluster } from '../support/cluster.ts';
import { aTenant, type TestTenant } from '../support/factories.ts';
import { freePort } from '../support/port.ts';
import { startProcess, type TestProcess } from '../support/process.ts';
import { createTemplate, template_database } from '../support/template.ts';
import { waitFor } from '../support/wait.ts';

/** The bound for being ready again. */
const ready_again_ms = 5_000;
const clients = 16;
const rounds = inject('fault_rounds');
const timeout_ms = 60_000 + 30_000 * rounds;
const { FC_SEED } = process.env;
const seed = FC_SEED === undefined ? Date.now() % 1_000_000_000 : Number(FC_SEED);

const cluster = await startCluster({ durable: true });
await createTemplate(cluster);
const database = new Database({
  connection_string: cluster.url('lattice_app', template_database),
  size: 2,
  application_name: 'lattice test',
  logger: createLogger('silent'),
});
afterAll(async () => {
  await database.end();
  await cluster.stop();
});

test(
  `a process that is killed under traffic loses and doubles nothing (seed ${seed})`,
  async () => {
    const { environment, open } = await aPlace();
    const port = String(await freePort());
    let server = await startProcess({ ...environment, PORT: port });
    const { traffic } = await open(server);
    for (const more of moments(20, 400)) {
      await traffic.flows(more);
      const killed = performance.now();
      await server.end('SIGKILL');
      server = await startProcess({ ...environment, PORT: port });
      expect(performance.now() - killed).toBeLessThan(ready_again_ms);
    }
    await finish(traffic);
  },
  timeout_ms,
);

test(
  'an answer that was lost between commit and client is the same bytes after a restart',
  async () => {
    const { environment, open, cable } = await aPlace();
    const port = String(await freePort());
    const first = await startProcess({ ...environment, PORT: port });
    const { traffic, tenant } = await open(first);
    await traffic.flows(50);
    // Nothing is committed while the tenant is locked, and what waits for that is committed when nobody is told any more.
    const holder = new pg.Client({ connectionString: cluster.url('postgres', template_database) });
    await holder.connect();
    onTestFinished(() => holder.end());
    await holder.query('select pg_advisory_lock(hashtextextended($1::text, 7461))', [tenant.id]);
    const before = await postings(tenant);
    await waitFor('a commit waits for the tenant', isWaited);
    cable.swallowAnswers();
    await holder.query('select pg_advisory_unlock(hashtextextended($1::text, 7461))', [tenant.id]);
    await waitFor('there are commits that nobody heard of', async () => (await postings(tenant)) > before);
    await first.end('SIGKILL');
    await startProcess({ ...environment, DATABASE_URL: direct_url, PORT: port });
    await traffic.stop();
    const unknown = traffic.unknown;
    const committed = (await postings(tenant)) - traffic.acknowledged;
    expect(committed).toBeGreaterThan(0);
    const done_before = await traffic.settle();
    expect([done_before, unknown >= done_before]).toEqual([committed, true]);
    await traffic.expectOnce();
  },
  timeout_ms,
);

test(
  `a Postgres that is killed under traffic loses and doubles nothing (seed ${seed})`,
  async () => {
    const { environment, open } = await aPlace();
    const server = await startProcess(environment);
    const { traffic } = await open(server);
    for (const [i, more] of moments(20, 400).entries()) {
      await traffic.flows(more);
      // The postmaster itself, or a backend at work, after which the postmaster stops all others and recovers
      const is_postmaster = i % 2 === 0;
      const victim = is_postmaster ? await postmaster() : await backend();
      process.kill(victim, 'SIGKILL');
      const killed = performance.now();
      // The backends that it leaves behind may answer for another moment.
      if (is_postmaster)
        await waitFor('another one runs', async () => ![null, victim].includes(await maybePostmaster()));
      await traffic.flowsAgain();
      expect(performance.now() - killed).toBeLessThan(ready_again_ms);
    }
    // A killed backend in the short form too
    process.kill(await backend(), 'SIGKILL');
    await finish(traffic);
  },
  timeout_ms,
);

test(
  `connections that are cut around COMMIT lose and double nothing (seed ${seed})`,
  async () => {
    const { environment, open, cable } = await aPlace();
    const server = await startProcess(environment);
    const { traffic } = await open(server);
    const cuts = fc.sample(
      fc.record({ cut: fc.constantFrom<Cut>('question', 'answer'), after: fc.integer({ min: 1, max: 12 }) }),
      {
        numRuns: rounds === 1 ? 4 : 8 * rounds,
        seed,
      },
    );
    for (const { cut, after } of cuts) {
      const before = cable.cuts;
      cable.cutAt(cut, after);
      await waitFor('the cable is cut', () => cable.cuts > before);
      const at = performance.now();
      await traffic.flowsAgain();
      expect(performance.now() - at).toBeLessThan(ready_again_ms);
    }
    await finish(traffic);
  },
  timeout_ms,
);

const direct_url = cluster.url('lattice_app', template_database);

/** A tenant to be, and the way from a server to this cluster through a cable of its own. */
async function aPlace() {
  const cable = await Cable.lay(cluster.directory);
  afterAll(() => cable.pull());
  const environment = {
    DATABASE_URL: cable.url(direct_url),
    DATABASE_OWNER_URL: cluster.url('lattice_owner', template_database),
  };
  const open = async (server: TestProcess) => {
    const tenant = await aTenant({}, database);
    const api = server.client(tenant.api_key);
    for (const account of traffic_accounts) await api.post('/v1/accounts', account);
    const traffic = new Traffic(server.url, tenant.api_key, clients);
    // Also of a test that fails.
    onTestFinished(() => traffic.stop());
    return { tenant, traffic };
  };
  return { cable, environment, open };
}

async function finish(traffic: Traffic): Promise<void> {
  await traffic.flows(20);
  await traffic.stop();
  expect(traffic.unknown).toBeGreaterThan(0);
  await traffic.settle();
  await traffic.expectOnce();
}

/** How many acknowledgements to wait for before each blow. */
function moments(min: number, max: number): number[] {
  return fc.sample(fc.integer({ min, max }), { numRuns: rounds, seed });
}

async function postmaster(): Promise<number> {
  return Number((await readFile(join(cluster.directory, 'data', 'postmaster.pid'), 'utf8')).split('\n')[0]);
}

/** Null while the next one takes the place of the last. */
async function maybePostmaster(): Promise<number | null> {
  return postmaster().then(
    (pid) => pid,
    () => null,
  );
}

/** A backend of the server's. */
async function backend(): Promise<number> {
  const [row] = await asPostgres(
    z.object({ pid: z.number() }),
    `select pid from pg_stat_activity where usename = 'lattice_app' order by query_start desc limit 1`,
  );
  if (row === undefined) throw new Error('the server has no connection');
  return row.pid;
}

async function postings(tenant: TestTenant): Promise<number> {
  const [row] = await asPostgres(
    z.object({ n: z.number() }),
    `select count(*)::int as n from log.event where tenant_id = $1 and type = 'ledger.transaction_posted'`,
    [tenant.id],
  );
  return row?.n ?? 0;
}

/** Whether somebody waits for the lock of a tenant. */
async function isWaited(): Promise<boolean> {
  const text = "select 1 from pg_locks where locktype = 'advisory' and not granted";
  return (await asPostgres(z.unknown(), text)).length > 0;
}

/** Waits for Postgres, which may be on its way back. */
async function asPostgres<Row extends z.ZodType>(row: Row, text: string, values: unknown[] = []) {
  let client = new pg.Client();
  await waitFor('Postgres takes connections', async () => {
    client = new pg.Client({ connectionString: cluster.url('postgres', template_database) });
    return client.connect().then(
      () => true,
      () => false,
    );
  });
  const { rows } = await client.query(text, values).finally(() => client.end());
  return rows.map((each) => row.parse(each));
}
