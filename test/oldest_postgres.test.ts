// The oldest PostgreSQL that is supported. Every other test runs on the embedded one, which is the newest. Postgres reads the body of a
// plpgsql function only when it runs, so each verb and each route is walked here once, and each function must have been called.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { platform_tenant_id } from '../src/db.ts';
import { encodeId, newUuid } from '../src/id.ts';
import { renderStored } from '../src/modules/ledger/transactions.ts';
import { projections } from '../src/modules/projections/manifest.ts';
import { randomBooks } from './modules/ledger/random_books.ts';
import { aReceiver } from './modules/webhooks/receiver.ts';
import type { Client } from './support/client.ts';
import { startCluster } from './support/cluster.ts';
import { commandLines } from './support/command_lines.ts';
import { atEnd } from './support/database.ts';
import { postgresql_15 } from './support/debian.ts';
import { aKey, anAccount, aTenant, aTransaction } from './support/factories.ts';
import { aDataDirectory, startLattice } from './support/lattice.ts';
import { isOfPlatform, isStream, queriesOf, reads, routes } from './support/routes.ts';
import { startServer } from './support/server.ts';
import { root } from './support/source.ts';
import { TestStream } from './support/stream.ts';
import { createTemplate, template_database } from './support/template.ts';
import { waitFor } from './support/wait.ts';

const lattice = commandLines();
const programs = dirname(postgresql_15.program);
const cluster = await startCluster({ durable: true, programs, settings: ['track_functions=pl'] });
atEnd(() => cluster.stop());
await createTemplate(cluster);
const environment = { DATABASE_URL: cluster.url('lattice_app', template_database), JOBS: 'on' };
const server = await startServer(environment);
const platform = server.client((await aKey(platform_tenant_id, 'platform', server.database)).api_key);

async function asAdministrator<Row extends z.ZodType>(row: Row, text: string, values: unknown[] = []) {
  const client = new pg.Client({ connectionString: cluster.url('postgres', template_database) });
  await client.connect();
  const { rows } = await client.query(text, values);
  await client.end();
  return z.array(row).parse(rows);
}

async function aClient(): Promise<Client & { tenant_id: string }> {
  const tenant = await aTenant({}, server.database);
  return Object.assign(server.client(tenant.api_key), { tenant_id: tenant.id });
}

const entriesOf = (debit: string, credit: string, amount: string) => [
  { account: debit, direction: 'debit', amount },
  { account: credit, direction: 'credit', amount },
];

const IdSchema = z.looseObject({ id: z.string() });
const BalanceSchema = z.looseObject({
  available: z.string(),
  pending: z.object({ out: z.string(), in: z.string() }),
});

test('it is 15, and the schema is current', async () => {
  const [version] = await asAdministrator(
    z.object({ major: z.number() }),
    "select current_setting('server_version_num')::integer / 10000 as major",
  );
  expect(version).toEqual({ major: 15 });
  const { status, stdout } = await lattice(['doctor', '--json'], environment);
  expect([status, JSON.parse(stdout)]).toEqual([0, expect.objectContaining({ ok: true })]);
});

test('each way to post does what it says, is refused what it should be, and a dry run writes nothing', async () => {
  const api = await aClient();
  await anAccount(api, { code: 'bank', type: 'asset' });
  await anAccount(api, { code: 'wallet', limits: { available_min: '0' } });
  const balance = async (query = '') =>
    (await api.get(`/v1/accounts/wallet/balance${query}`)).as(BalanceSchema);
  const outcome = async (path: string, body?: unknown) => {
    const dry_run = await api.post(`${path}${path.includes('?') ? '&' : '?'}dry_run=true`, body);
    const answer = await api.post(path, body);
    const { code } = z.looseObject({ code: z.string().optional() }).parse(answer.body);
    expect([dry_run.status < 300, code]).toEqual([answer.status < 300, code]);
    return code ?? answer.as(IdSchema).id;
  };
  const pays = (debit: string, credit: string, amount: string, rest = {}) =>
    outcome('/v1/transactions', { entries: entriesOf(debit, credit, amount), ...rest });

  const posted = await pays('bank', 'wallet', '1000', { reference: 'r1' });
  expect(await pays('bank', 'wallet', '1', { reference: 'r1' })).toBe('reference_taken');
  const hold = await aTransaction(api, {
    ...{ debit: 'wallet', credit: 'bank', amount: '400', status: 'pending' },
    expires_at: '2099-01-01T00:00:00Z',
  });
  expect(await pays('wallet', 'bank', '601')).toBe('insufficient_funds');
  const path = `/v1/transactions/${hold.id}`;
  await outcome(`${path}/capture`, { amount: '150' });
  expect(await outcome(`${path}/capture`, { amount: '251' })).toBe('capture_exceeds_hold');
  expect(await balance()).toMatchObject({ available: '600', pending: { out: '250', in: '0' } });
  expect(await balance(`?known_at=${hold.position}`)).toMatchObject({
    available: '600',
    pending: { out: '400', in: '0' },
  });
  await outcome(`${path}/void`);
  expect(await outcome(`${path}/void`)).toBe('transaction_not_pending');
  await outcome(`/v1/transactions/${posted}/reversal`, { amount: '100' });
  expect(await outcome(`/v1/transactions/${posted}/reversal`, { amount: '901' })).toBe(
    'reversal_exceeds_transaction',
  );
  expect(await balance()).toMatchObject({ available: '750', pending: { out: '0', in: '0' } });

  const transactions = [
    { entries: entriesOf('bank', 'wallet', '5') },
    { entries: entriesOf('wallet', 'bank', '10'), status: 'pending', expires_in_seconds: 60 },
    { entries: entriesOf('wallet', 'bank', '100000') },
  ];
  expect(await outcome('/v1/transactions/bulk', { transactions })).toBe('insufficient_funds');
  const statuses = z.object({ results: z.array(z.looseObject({ status: z.number() })) });
  const each = await api.post('/v1/transactions/bulk', { atomic: false, transactions });
  expect(each.as(statuses).results.map(({ status }) => status)).toEqual([201, 201, 422]);
  const lines = transactions.slice(0, 2).map((item) => JSON.stringify(item));
  const ndjson = { raw: lines.join('\n'), headers: { 'Content-Type': 'application/x-ndjson' } };
  const whole = await api.post('/v1/transactions/bulk', undefined, ndjson);
  expect(whole.as(statuses).results.map(({ status }) => status)).toEqual([201, 201]);
  expect(await balance()).toMatchObject({ available: '740', pending: { out: '20', in: '0' } });

  const body = { entries: entriesOf('bank', 'wallet', '1') };
  const first = await api.post('/v1/transactions', body, { key: 'once' });
  // Another process has to ask the log.
  const elsewhere = await startServer({ ...environment, JOBS: 'off', CONSUMERS: 'off' });
  const again = await elsewhere.client(api.api_key).post('/v1/transactions', body, { key: 'once' });
  expect([again.text, again.headers.get('idempotent-replayed')]).toEqual([first.text, 'true']);
  await elsewhere.close();
  const { position } = first.as(z.looseObject({ position: z.number() }));
  const stored = { position, status: 201 };
  expect(await renderStored(server.database, api.tenant_id, stored)).toBe(first.text);
});

test('holds that expire are recorded as expired', async () => {
  const api = await aClient();
  const [one, other] = [await anAccount(api), await anAccount(api)];
  const accounts = { debit: one.code, credit: other.code };
  const { id } = await aTransaction(api, { ...accounts, status: 'pending', expires_in_seconds: 1 });
  const StatusSchema = z.looseObject({ status: z.string() });
  await waitFor('it has expired', async () => {
    const { status } = (await api.get(`/v1/transactions/${id}`)).as(StatusSchema);
    return status === 'expired';
  });
  await asAdministrator(
    z.unknown(),
    "update jobs.schedule set next_at = now() where job = 'ledger.find_due_holds'",
  );
  await waitFor('the log says so', async () =>
    (await api.get('/v1/events?types=ledger.transaction_expired')).text.includes(id),
  );
});

/** A tenant that has one of everything, and what names it in a path. */
async function anInhabitant() {
  const api = await aClient();
  const codes = await randomBooks(api, 15, 400);
  await api.post('/v1/report_dimensions', { key: 'channel' });
  const metadata = { order: 'o1', channel: 'web', invoice: 'inv1', customer: 'c1', due_on: '2026-01-31' };
  const accounts = { debit: 'cash', credit: 'customers:a' };
  const receiver = await aReceiver();
  const endpoint = (await api.post('/v1/webhook_endpoints', { url: receiver.url })).as(IdSchema).id;
  const posted = await aTransaction(api, { ...accounts, reference: 'r1', metadata });
  await waitFor('it is told', () => receiver.received.length > 0);
  const deliveries = await api.get(`/v1/webhook_endpoints/${endpoint}/deliveries`);
  const [delivery] = deliveries.as(z.looseObject({ data: z.array(IdSchema) })).data;
  const receipt = await api.get(`/v1/transactions/${posted.id}/receipt`);
  await api.post('/v1/assets', { currency: 'POINTS', scale: 0, name: 'Points' });
  const dead_letter = newUuid();
  await asAdministrator(
    z.unknown(),
    `insert into jobs.dead_letter (tenant_id, id, job, payload, attempts, reason, queued_at, failed_at, status)
     values ($1, $2, 'ledger.expire_holds', '{}', 10, 'it failed', now(), now(), 'waiting')`,
    [api.tenant_id, dead_letter],
  );
  const names: Record<string, string> = {
    account: 'customers:a',
    transaction: posted.id,
    key: (await api.post('/v1/keys', { name: 'Till', role: 'auditor' })).as(IdSchema).id,
    currency: 'POINTS',
    tenant: encodeId('tenant', (await aTenant({}, server.database)).id),
    block: receipt.as(z.looseObject({ block: z.looseObject({ hash: z.string() }) })).block.hash,
    webhook_endpoint: endpoint,
    webhook_delivery: String(delivery?.id),
    dead_letter: encodeId('dead_letter', dead_letter),
    projection: 'invoices',
    job: 'access.prune_stream_tickets',
  };
  const pathOf = (path: string) =>
    path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(names[name] ?? 'nameless'));
  return { api, codes, posted, pathOf };
}

const inhabitant = await anInhabitant();

const queries = queriesOf(inhabitant.posted);

test('each route of the document that reads is among those walked', () => {
  expect(reads.length).toBeGreaterThan(40);
  expect(reads.filter(isStream).length).toBeGreaterThan(2);
  expect(Object.keys(queries).filter((path) => reads.every((route) => route.path !== path))).toEqual([]);
});

test.each(reads.filter((route) => !isStream(route)))('GET $path answers', async ({ path }) => {
  const api = isOfPlatform(path) ? platform : inhabitant.api;
  for (const query of ['', ...(queries[path] ?? [])]) {
    const target = `${inhabitant.pathOf(path)}${query === '' ? '' : `?${query}`}`;
    const answer = await api.get(target);
    expect([target, answer.status, answer.status === 200 ? '' : answer.text]).toEqual([target, 200, '']);
  }
});

test.each(reads.filter(isStream))('GET $path follows, by key and by ticket', async ({ path }) => {
  const [query = 'limit'] = queries[path] ?? [];
  const target = `${inhabitant.pathOf(path)}${query === 'limit' ? '' : `?${query}`}`;
  const { ticket } = (await inhabitant.api.post('/v1/stream_tickets', { path: target })).as(
    z.looseObject({ ticket: z.string() }),
  );
  const by_ticket = `${target}${target.includes('?') ? '&' : '?'}ticket=${ticket}`;
  for (const [url, api_key] of [
    [target, inhabitant.api.api_key],
    [by_ticket, null],
  ] as const) {
    const stream = await TestStream.open(server.url + url, { api_key, last_event_id: 0 });
    expect([url, stream.status]).toEqual([url, 200]);
    await stream.live();
    if (path === '/v1/balances/stream') {
      await aTransaction(inhabitant.api, { debit: 'cash', credit: 'customers:a' });
      await stream.count(2);
    }
    await stream.close();
  }
});

test.each(projections)('the stream of $name says what it holds', async ({ name }) => {
  const { api_key } = inhabitant.api;
  const stream = await TestStream.open(`${server.url}/v1/projections/${name}/stream`, { api_key });
  const [first] = await stream.count(1);
  expect(JSON.parse(first?.data ?? '')).toMatchObject({ data: expect.any(Object) });
  await stream.close();
});

test('each job of the schedules has run, and the metrics are told', async () => {
  const CountSchema = z.object({ count: z.number() });
  const counted = async (text: string) => (await asAdministrator(CountSchema, text))[0]?.count;
  await waitFor('each tenant has its schedules', async () => {
    await asAdministrator(
      z.unknown(),
      "update jobs.schedule set next_at = now() where job = 'jobs.open_schedules'",
    );
    return (
      (await counted(
        "select count(*)::integer from jobs.schedule where job = 'webhooks.prune_deliveries'",
      )) !== 0
    );
  });
  await asAdministrator(z.unknown(), 'update jobs.schedule set last_at = null');
  await waitFor('each has come round', async () => {
    // Opening schedules is one of them: there may be more by now.
    await asAdministrator(z.unknown(), 'update jobs.schedule set next_at = now() where last_at is null');
    return (await counted('select count(*)::integer from jobs.schedule where last_at is null')) === 0;
  });
  await waitFor(
    'nothing is left to do',
    async () => (await counted('select count(*)::integer from graphile_worker._private_jobs')) === 0,
  );
  for (const path of ['/metrics', '/readyz']) {
    const answer = await fetch(server.url + path);
    await answer.arrayBuffer();
    expect([path, answer.status]).toEqual([path, 200]);
  }
});

test('projections that are built again, and recounted, differ in nothing, and the proof holds', async () => {
  const { api } = inhabitant;
  const tenant = `/v1/tenants/${encodeId('tenant', api.tenant_id)}`;
  await platform.post(`${tenant}/projection_rebuilds`, {});
  const RebuildSchema = z.looseObject({ status: z.string(), difference_count: z.number().nullable() });
  const StatesSchema = z.looseObject({
    data: z.array(z.looseObject({ name: z.string(), rebuild: RebuildSchema.nullable() })),
  });
  const states = await waitFor('all have been rebuilt', async () => {
    const { data } = (await platform.get(`${tenant}/projections`)).as(StatesSchema);
    return data.some(({ rebuild }) => rebuild?.status === 'running') ? null : data;
  });
  expect(states.length).toBeGreaterThan(3);
  for (const { name, rebuild } of states) {
    expect([name, rebuild?.status, rebuild?.difference_count]).toEqual([name, 'swapped', 0]);
    expect((await platform.post(`${tenant}/projection_drops`, { projection: name })).status).toBe(201);
  }
  expect((await api.get('/v1/proof')).body).toMatchObject({ ok: true });
});

/** In the order of the document: what one of them has ended is refused to those after it, by name. */
test('each route that changes something, sent its example, does it or says why not', async () => {
  const ExampleSchema = z.looseObject({ example: z.unknown().optional() });
  const changing = routes.filter(({ method }) => method !== 'get');
  expect(changing.length).toBeGreaterThan(25);
  for (const { method, path, operation } of changing) {
    const api = isOfPlatform(path) ? platform : inhabitant.api;
    const media = operation.requestBody?.content['application/json'];
    const body = media === undefined ? undefined : (ExampleSchema.parse(media).example ?? {});
    const answer = await api.send(method.toUpperCase(), inhabitant.pathOf(path), body);
    expect([method, path, answer.status < 500, answer.status === 400]).toEqual([method, path, true, false]);
  }
});

test('made, migrated, served and stopped from the command line', async () => {
  const name = 'lattice';
  await asAdministrator(z.unknown(), `create database ${name} owner lattice_owner`);
  const given = { DATABASE_URL: cluster.url('lattice_app', name), LATTICE_DATA_DIR: await aDataDirectory() };
  expect(await lattice(['start'], given)).toMatchObject({
    status: 1,
    stderr:
      'lattice: the schema is not current (the database has never been migrated): run `lattice migrate` with DATABASE_OWNER_URL\n',
  });
  const owner = { DATABASE_OWNER_URL: cluster.url('lattice_owner', name) };
  expect(await lattice(['migrate'], owner)).toMatchObject({ status: 0, stderr: '' });
  const started = await startLattice(given, ['start']);
  const { status, stdout } = await lattice(['doctor', '--json'], given);
  expect([status, JSON.parse(stdout)]).toEqual([0, expect.objectContaining({ ok: true })]);
  started.signal('SIGTERM');
  expect(await started.ended).toMatchObject({ status: 0, stderr: '' });
});

/** Called only when a consumer cannot do its work, or when a call of a webhook takes its time. */
const maybe_uncalled = ['log.fail_slice', 'webhooks.renew_leases'];

test('each function in plpgsql has been called', async () => {
  await server.close();
  const written = readdirSync(join(root, 'sql/functions'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.sql'))
    .filter((file) => /language plpgsql/.test(readFileSync(join(root, 'sql/functions', file), 'utf8')))
    .map((file) => file.replace('/', '.').replace('.sql', ''));
  expect(written.length).toBeGreaterThan(60);
  const expected = written.filter((name) => !maybe_uncalled.includes(name));
  // A backend reports what it has called when it ends, and that may be a little after its client is gone.
  const uncalled = async () => {
    const called = await asAdministrator(
      z.object({ name: z.string() }),
      "select schemaname || '.' || funcname as name from pg_stat_user_functions where calls > 0",
    );
    const names = new Set(called.map(({ name }) => name));
    return expected.filter((name) => !names.has(name));
  };
  await expect.poll(uncalled, { timeout: 10_000 }).toEqual([]);
});
