// What Postgres refuses for reasons that pass by themselves: 503 with Retry-After, nothing half done, and the same request succeeds later.
import pg from 'pg';
import { expect, test } from 'vitest';
import { z } from 'zod';
import type { Answer } from '../support/client.ts';
import { asSuperuser, databaseUrl } from '../support/database.ts';
import { anAccount, aTenant } from '../support/factories.ts';
import { startServer, type TestServer } from '../support/server.ts';

const NothingSchema = z.looseObject({});

async function startImpatient(timeouts: string) {
  const url = new URL(databaseUrl('lattice_app'));
  for (const [name, value] of new URLSearchParams(timeouts)) url.searchParams.set(name, value);
  return startServer({
    DATABASE_URL: url.href,
    DATABASE_POOL_SIZE: '4',
    CONSUMERS: 'off',
    LOG_LEVEL: 'silent',
  });
}

// Longer than what is not held up takes on a machine that has much else to do.
const waits_for_no_lock = await startImpatient('lock_timeout=500');
const ends_statements = await startImpatient('statement_timeout=1000');

function expectUnavailable(answer: Answer): void {
  expect(answer.body).toMatchObject({ code: 'unavailable', status: 503, retryable: true });
  expect(answer.headers.get('retry-after')).toBe('1');
}

/** Runs `work` while another session holds what `statement` locks. */
async function whileLocked<Result>(
  statement: string,
  values: unknown[],
  work: () => Promise<Result>,
): Promise<Result> {
  const session = new pg.Client({ connectionString: databaseUrl('postgres') });
  await session.connect();
  try {
    await session.query('begin');
    await session.query(statement, values);
    return await work();
  } finally {
    await session.query('rollback');
    await session.end();
  }
}

const lock_tenant = 'select pg_advisory_xact_lock(hashtextextended($1::text, 7461))';

function transfer(reference: string) {
  return {
    entries: [
      { account: 'world', direction: 'debit', amount: '5' },
      { account: 'wallet', direction: 'credit', amount: '5' },
    ],
    reference,
  };
}

async function aBook() {
  const tenant = await aTenant();
  const api = waits_for_no_lock.client(tenant.api_key);
  await anAccount(api, { code: 'world', type: 'asset' });
  await anAccount(api, { code: 'wallet', limits: { available_min: '0' } });
  return tenant;
}

test.each([
  ['a lock that is not to be had in time', waits_for_no_lock],
  ['a statement that takes too long', ends_statements],
])('%s is 503, and the same request succeeds later', async (_, server) => {
  const tenant = await aBook();
  const api = server.client(tenant.api_key);
  const posts = [
    { path: '/v1/transactions', body: transfer('one') },
    {
      path: '/v1/transactions/bulk',
      body: { atomic: true, transactions: [transfer('two'), transfer('three')] },
    },
    { path: '/v1/transactions/bulk', body: { atomic: false, transactions: [transfer('four')] } },
    { path: '/v1/accounts', body: { code: 'late', type: 'asset', currency: 'EUR' } },
  ];
  const send = () => Promise.all(posts.map(({ path, body }, i) => api.post(path, body, { key: `key-${i}` })));
  const refused = await whileLocked(lock_tenant, [tenant.id], send);
  for (const answer of refused.filter(({ status }) => status !== 200)) expectUnavailable(answer);
  // A bulk request that is not atomic says it of the item.
  const itemwise = refused.filter(({ status }) => status === 200);
  for (const answer of itemwise) {
    expect(answer.body).toMatchObject({ results: [{ status: 503, problem: { code: 'unavailable' } }] });
  }
  expect((await api.get('/v1/accounts/wallet/balance')).body).toMatchObject({ posted: { balance: '0' } });
  expect((await api.get('/v1/accounts/late')).status).toBe(404);
  expect((await send()).map(({ status }) => status)).toEqual([201, 201, 200, 201]);
  expect((await api.get('/v1/accounts/wallet/balance')).body).toMatchObject({ posted: { balance: '20' } });
});

test('a tenant whose lock is held keeps no other tenant from posting', async () => {
  const [held, free] = [await aBook(), await aBook()];
  const post = (tenant: typeof held, key: string) =>
    waits_for_no_lock.client(tenant.api_key).post('/v1/transactions', transfer(key), { key });
  const keys = Array.from({ length: 20 }, (_, i) => `key-${i}`);
  const answers = await whileLocked(lock_tenant, [held.id], async () => {
    const sent = [held, free].map((tenant) => Promise.all(keys.map((key) => post(tenant, key))));
    const [of_held = [], of_free = []] = await Promise.all(sent);
    return { held: of_held, free: of_free };
  });
  expect(new Set(answers.free.map(({ status }) => status))).toEqual(new Set([201]));
  answers.held.forEach(expectUnavailable);
  const again = await Promise.all(keys.map((key) => post(held, key)));
  expect(new Set(again.map(({ status }) => status))).toEqual(new Set([201]));
});

test('a read that takes too long is 503', async () => {
  const tenant = await aBook();
  const api = ends_statements.client(tenant.api_key);
  const answers = await whileLocked('lock table ledger.account in access exclusive mode', [], () =>
    Promise.all(['/v1/accounts', '/v1/accounts/world/balance'].map((path) => api.get(path))),
  );
  answers.forEach(expectUnavailable);
  expect((await api.get('/v1/accounts')).status).toBe(200);
});

test('a read of what had been recorded by now is 503 while the tenant is locked, and of what is older is not', async () => {
  const tenant = await aBook();
  const api = waits_for_no_lock.client(tenant.api_key);
  const { recorded_at } = (await api.post('/v1/transactions', transfer('one'))).as(
    z.looseObject({ recorded_at: z.string() }),
  );
  const read = (query: string) => api.get(`/v1/accounts/wallet/balance${query}`);
  const [refused, ...answers] = await whileLocked(lock_tenant, [tenant.id], () =>
    Promise.all([`?known_at=${recorded_at}`, '?known_at=2026-01-01T00:00:00Z', ''].map(read)),
  );
  if (refused === undefined) throw new Error('nothing was answered');
  expectUnavailable(refused);
  expect(answers.map(({ status }) => status)).toEqual([200, 200]);
  expect((await read(`?known_at=${recorded_at}`)).body).toMatchObject({ posted: { balance: '5' } });
});

test('a pool that gives no connection in time is 503', async () => {
  const tenant = await aBook();
  const api = waits_for_no_lock.client(tenant.api_key);
  const answer = await whileTaken(waits_for_no_lock, 'all', () => api.get('/v1/accounts/world'));
  expectUnavailable(answer);
  expect((await api.get('/v1/accounts/world')).status).toBe(200);
});

/** Takes all connections of the pool, or those that are open. */
async function whileTaken<Result>(
  server: TestServer,
  connections: 'all' | 'open',
  work: () => Promise<Result>,
): Promise<Result> {
  const { pool } = server.database;
  const count = connections === 'all' ? pool.options.max : Math.max(1, pool.totalCount);
  const taken = await Promise.all(Array.from({ length: count }, () => pool.connect()));
  try {
    return await work();
  } finally {
    for (const client of taken) client.release();
  }
}

test('a Postgres that takes no more connections is 503', async () => {
  const tenant = await aBook();
  const server = await startImpatient('lock_timeout=500');
  const api = server.client(tenant.api_key);
  const look = () => api.get('/v1/accounts/world');
  const [{ name } = { name: '' }] = await asSuperuser(
    z.object({ name: z.string() }),
    'select current_database() as name',
  );
  expect((await look()).status).toBe(200);
  await asSuperuser(NothingSchema, `alter database ${name} connection limit 0`);
  const refused = await whileTaken(server, 'open', look);
  await asSuperuser(NothingSchema, `alter database ${name} connection limit -1`);
  expectUnavailable(refused);
  expect((await look()).status).toBe(200);
});

test.each(['40001', '40P01', '53100'])(
  'what Postgres gives up with %s is 503, and succeeds later',
  async (code) => {
    const tenant = await aBook();
    const api = waits_for_no_lock.client(tenant.api_key);
    await asSuperuser(
      NothingSchema,
      `create or replace function public.give_up() returns trigger language plpgsql as $$
    begin raise exception 'given up' using errcode = '${code}'; end $$`,
    );
    await asSuperuser(
      NothingSchema,
      'create trigger give_up before insert on log.event for each row execute function public.give_up()',
    );
    const account = { code: 'late', type: 'asset', currency: 'EUR' };
    const create = () => api.post('/v1/accounts', account, { key: 'create' });
    const post = () => api.post('/v1/transactions', transfer('one'), { key: 'post' });
    const refused = [await create(), await post()];
    await asSuperuser(NothingSchema, 'drop trigger give_up on log.event');
    refused.forEach(expectUnavailable);
    expect([(await create()).status, (await post()).status]).toEqual([201, 201]);
  },
);
