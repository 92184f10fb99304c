import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { newUuid } from '../../../src/id.ts';
import type { Client } from '../../support/client.ts';
import { asSuperuser } from '../../support/database.ts';
import { eventStreams } from '../../support/event_streams.ts';
import { aKey, anAccount, aTransaction, type TestTenant } from '../../support/factories.ts';
import { startServer } from '../../support/server.ts';
import { waitFor } from '../../support/wait.ts';
import { openSocket, requestHead } from '../socket.ts';

const server = await startServer({ STREAMS_PER_KEY: '4' });
const path = '/v1/events/stream';

const PageSchema = z.object({
  data: z.array(z.looseObject({ position: z.number(), type: z.string(), subject: z.string() })),
});

const { open, aBusyTenant, refusal } = eventStreams(server);

/** Events in such number that neither a page nor the ring holds them. Straight into the log: nobody is told. */
async function appendMany(tenant: TestTenant, count: number): Promise<number> {
  const [row] = await asSuperuser(
    z.object({ position: z.string() }),
    `select max(appended.position) as position
     from generate_series(1, $2) number, log.append_event(
       $1, gen_random_uuid(), 'log.consumer_resumed', $1, json_build_object('consumer', 'number ' || number), $1, 'req', null
     ) appended`,
    [tenant.id, count],
  );
  return Number(row?.position);
}

async function listed(api: Client, query = ''): Promise<unknown[]> {
  return PageSchema.parse((await api.get(`/v1/events?limit=200${query}`)).body).data;
}

test('a stream is the log: each event once, in order, the same as in the list', async () => {
  const { tenant, api, transact } = await aBusyTenant();
  const stream = await open(tenant, '?after=0');
  expect(Object.fromEntries(stream.headers)).toMatchObject({
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store, no-transform',
    'x-content-type-options': 'nosniff',
    'request-id': expect.stringMatching(/^req_/),
  });
  await stream.live();
  for (let round = 0; round < 5; round += 1) await transact();
  await stream.count(9);
  const events = stream.events.map(({ data }) => JSON.parse(data ?? ''));
  expect(events).toEqual(await listed(api));
  expect(stream.positions).toEqual(events.map(({ position }) => position));
  expect(stream.retries.every((retry_ms) => retry_ms >= 1_000 && retry_ms <= 3_000)).toBe(true);
  await stream.close();
});

test('without a position it begins now, and says from where to resume when it is cut before any event', async () => {
  const { tenant, first, transact } = await aBusyTenant();
  const stream = await open(tenant);
  await stream.live();
  expect([stream.last_event_id, stream.events]).toEqual([String(first.position), []]);
  await stream.close();
  const missed = await transact();
  const again = await open(tenant, '', { last_event_id: stream.last_event_id ?? '' });
  await again.reached(missed.position);
  expect(again.positions).toEqual([missed.position]);
  await again.close();
});

test('Last-Event-ID goes before `after`, which a browser sends again as it was', async () => {
  const { tenant, transact, first } = await aBusyTenant();
  const second = await transact();
  const stream = await open(tenant, '?after=0', { last_event_id: first.position });
  await stream.live();
  expect(stream.positions).toEqual([second.position]);
  await stream.close();
});

describe('filters', () => {
  test('let the same through whether it happens now or is read from before', async () => {
    const { tenant, api, alice, cash, transact, first } = await aBusyTenant();
    const bob = await anAccount(api, { code: 'customers:bob' });
    const queries: Record<string, string> = {
      types: '?types=ledger.account_created,ledger.account_updated',
      account: `?account=${alice.id}`,
      code: '?account=customers:alice&types=ledger.transaction_posted',
      prefix: '?account_prefix=customers:',
      subject: `?subject=${first.id}`,
      nothing: '?account_prefix=nobody:',
    };
    const owners = await Promise.all(Object.keys(queries).map(() => aKey(tenant.id, 'owner')));
    const live = await Promise.all(
      Object.values(queries).map((query, index) =>
        open(tenant, `${query}&after=0`, { api_key: owners[index]?.api_key ?? null }),
      ),
    );
    await Promise.all(live.map((stream) => stream.live()));
    await transact();
    const hold = await aTransaction(api, { debit: cash.id, credit: bob.id, status: 'pending' });
    await api.post(`/v1/transactions/${hold.id}/void`);
    await api.patch(`/v1/accounts/${alice.id}`, { name: 'Alice' });
    await api.post(`/v1/transactions/${first.id}/reversal`, {});
    const last = await transact();
    const all = await open(tenant, '?after=0');
    await all.reached(last.position);
    await all.close();

    const wanted: Record<string, (text: string, event: { type: string; subject: string }) => boolean> = {
      types: (_, { type }) => ['ledger.account_created', 'ledger.account_updated'].includes(type),
      account: (text) => text.includes(alice.id),
      code: (text, { type }) => type === 'ledger.transaction_posted' && text.includes('customers:alice'),
      prefix: (text) => text.includes('customers:'),
      subject: (_, { subject }) => subject === first.id,
      nothing: () => false,
    };
    for (const [index, name] of Object.keys(queries).entries()) {
      const expected = all.events.flatMap(({ id, data }) =>
        data !== null && wanted[name]?.(data, JSON.parse(data)) ? [Number(id)] : [],
      );
      await waitFor(`${name} has come`, () => live[index]?.positions.length === expected.length);
      expect([name, live[index]?.positions]).toEqual([name, expected]);
      await live[index]?.close();
      // Now what was live is long ago: beyond the ring, and found in the database.
      const from_ring = await open(tenant, `${queries[name]}&after=0`);
      await from_ring.live();
      expect([name, from_ring.positions]).toEqual([name, expected]);
      await from_ring.close();
    }
    await appendMany(tenant, 3_000);
    const elsewhere = await startServer();
    for (const [index, name] of Object.keys(queries).entries()) {
      const from_database = await open(tenant, `${queries[name]}&after=0`, {}, elsewhere.url);
      await from_database.live();
      expect([name, from_database.positions]).toEqual([name, live[index]?.positions]);
      expect(Number(from_database.last_event_id)).toBeGreaterThanOrEqual(last.position + 3_000);
      await from_database.close();
    }
    await elsewhere.close();
  });

  test('that cannot match anything are refused', async () => {
    const { tenant } = await aBusyTenant();
    expect(await refusal(tenant, '?types=ledger.transaction_imagined')).toEqual([
      400,
      'invalid_request',
      '#/query/types event_type_unknown',
    ]);
    expect(await refusal(tenant, '?account=customers:nobody')).toEqual([404, 'not_found']);
    expect(await refusal(tenant, '?subject=bob')).toEqual([
      400,
      'invalid_request',
      '#/query/subject filter_matches_nothing',
    ]);
    expect(
      await refusal(tenant, '?types=ledger.account_created&subject=txn_01h455vb4pex5vsknk084sn02q'),
    ).toEqual([400, 'invalid_request', '#/query/subject filter_matches_nothing']);
    for (const about of ['account=customers:alice', 'account_prefix=customers:']) {
      expect(await refusal(tenant, `?types=access.key_created,log.consumer_parked&${about}`)).toEqual([
        400,
        'invalid_request',
        '#/query/types filter_matches_nothing',
      ]);
    }
    expect(await refusal(tenant, '?account_prefix=a%20b')).toEqual([
      400,
      'invalid_request',
      '#/query/account_prefix invalid_format',
    ]);
    expect(await refusal(tenant, '?nonsense=1')).toEqual([
      400,
      'invalid_request',
      '#/query/nonsense unknown_field',
    ]);
  });
});

test('a long way back is read in pages, and what happens meanwhile follows', async () => {
  const { tenant, transact } = await aBusyTenant();
  const before = await appendMany(tenant, 4_321);
  const stream = await open(tenant, '?after=0');
  for (let round = 0; round < 20; round += 1) await transact();
  await stream.reached(before + 20);
  expect(stream.positions).toEqual(Array.from({ length: before + 20 }, (_, index) => index + 1));
  await stream.close();
});

test('what nobody told of is found by looking', async () => {
  const { tenant } = await aBusyTenant();
  const stream = await open(tenant);
  await stream.live();
  const position = await appendMany(tenant, 3);
  await stream.reached(position);
  expect(stream.positions).toEqual([position - 2, position - 1, position]);
  await stream.close();
});

describe('a position that cannot be gone on from', () => {
  test('is refused when it is none', async () => {
    const { tenant } = await aBusyTenant();
    for (const last_event_id of ['x', '-1', '1.5', '01', ' 1x', '1e3', '9'.repeat(16)]) {
      expect(await refusal(tenant, '', { last_event_id })).toEqual([
        400,
        'invalid_request',
        '#/header/Last-Event-ID invalid_value',
      ]);
    }
    expect(await refusal(tenant, '?after=x')).toEqual([
      400,
      'invalid_request',
      '#/query/after invalid_format',
    ]);
  });

  test('ahead of the log resets the client to its head', async () => {
    const { tenant, first, transact } = await aBusyTenant();
    const stream = await open(tenant, '', { last_event_id: 999_999 });
    await stream.live();
    const [reset] = stream.messages;
    expect(reset).toEqual({
      id: String(first.position),
      event: 'reset',
      data: JSON.stringify({ reason: 'ahead_of_log', requested: 999_999, position: first.position }),
    });
    const next = await transact();
    await stream.reached(next.position);
    expect(stream.positions.slice(1)).toEqual([next.position]);
    await stream.close();
  });

  test('beyond what is kept resets the client to the oldest event', async () => {
    const { tenant, first } = await aBusyTenant();
    await asSuperuser(z.unknown(), 'delete from log.event where tenant_id = $1 and position <= 2', [
      tenant.id,
    ]);
    const stream = await open(tenant, '', { last_event_id: 1 });
    await stream.live();
    expect(stream.messages[0]).toEqual({
      id: '2',
      event: 'reset',
      data: JSON.stringify({ reason: 'beyond_retention', requested: 1, position: 2 }),
    });
    expect(stream.positions.slice(1)).toEqual([3, first.position]);
    await stream.close();
    const from_there = await open(tenant, '', { last_event_id: 2 });
    await from_there.live();
    expect(from_there.messages[0]?.event).toBe('message');
    await from_there.close();
  });
});

test('a stream of an account has the final capture that only gives back what was held for it', async () => {
  const { tenant, api } = await aBusyTenant();
  const held = ['assets:cash', 'customers:alice', (await anAccount(api, { code: 'fees' })).code];
  const entriesOf = (accounts: string[], amount: string) => [
    { account: 'assets:cash', direction: 'debit', amount: `${accounts.length - 1}${amount}` },
    ...accounts.slice(1).map((account) => ({ account, direction: 'credit', amount: `1${amount}` })),
  ];
  const hold = await api.post('/v1/transactions', { entries: entriesOf(held, '00'), status: 'pending' });
  const { id } = hold.as(z.looseObject({ id: z.string() }));
  const final = { entries: entriesOf(held.slice(0, 2), '0'), final: true };
  expect((await api.post(`/v1/transactions/${id}/capture`, final)).status).toBe(201);
  const stream = await open(tenant, '?after=0&account=fees');
  await stream.count(3);
  expect(stream.events.map(({ data }) => JSON.parse(data ?? ''))).toEqual(await listed(api, '&account=fees'));
  await stream.close();
});

test('an event of a type that this version does not know comes like any other, unless the stream is of an account', async () => {
  const { tenant, first, transact } = await aBusyTenant();
  const [all, account] = [await open(tenant), await open(tenant, '?account=customers:alice')];
  await all.live();
  await account.live();
  const subject_id = newUuid();
  await asSuperuser(
    z.unknown(),
    `select from log.append_event($1, $2, 'ledger.transaction_imagined', $3, '{"entries":7}', $1, 'req_later', null)`,
    [tenant.id, newUuid(), subject_id],
  );
  await transact();
  await all.count(2);
  expect(all.events.map(({ data }) => JSON.parse(data ?? ''))).toMatchObject([
    { position: first.position + 1, type: 'ledger.transaction_imagined', subject: subject_id },
    { position: first.position + 2, type: 'ledger.transaction_posted' },
  ]);
  expect(account.positions).not.toContain(first.position + 1);
  await all.close();
  await account.close();
});

test('several processes: one is cut off, and another goes on without gap or duplicate', async () => {
  const { tenant, transact } = await aBusyTenant();
  const other = await startServer();
  const stream = await open(tenant, '?after=0', {}, other.url);
  await stream.live();
  await transact();
  const second = await transact();
  await stream.reached(second.position);
  const closing = other.close();
  expect(await stream.ended).toBe('ended');
  expect(stream.retries).toHaveLength(2);
  expect(stream.retries[1]).toBeGreaterThanOrEqual(500);
  await closing;
  await transact();
  const last = await transact();
  const again = await open(tenant, '?after=0', { last_event_id: stream.last_event_id ?? '' });
  await again.reached(last.position);
  const positions = [...stream.positions, ...again.positions];
  expect(positions).toEqual(Array.from({ length: last.position }, (_, index) => index + 1));
  await again.close();
});

test('a stream that is asked for behind another request begins when that one is answered', async () => {
  const { tenant, transact } = await aBusyTenant();
  const connection = await openSocket(server.url);
  const requests = ['GET /v1/proof', `GET ${path}`].map((target) => requestHead(target, {}, tenant.api_key));
  connection.socket.write(requests.join(''));
  const proof = await connection.answer();
  expect(proof.status).toBe(200);
  await waitFor('the stream has begun', () => connection.received().includes('text/event-stream'));
  const { position } = await transact();
  await waitFor('the event has come', () => connection.received().includes(`id: ${position}\ndata: `));
  expect(connection.received().split('HTTP/1.1 200 OK')).toHaveLength(3);
  connection.socket.destroy();
});

test('HEAD tells that there is a stream, without one', async () => {
  const { tenant } = await aBusyTenant();
  const response = await fetch(server.url + path, {
    method: 'HEAD',
    headers: { Authorization: `Bearer ${tenant.api_key}` },
  });
  expect([response.status, response.headers.get('content-type'), await response.text()]).toEqual([
    200,
    'text/event-stream; charset=utf-8',
    '',
  ]);
});

test('an idle stream says that it lives, and moves the id past what its filter does not let through', async () => {
  const { tenant, transact } = await aBusyTenant();
  const stream = await open(tenant, '?types=ledger.account_closed');
  await stream.live();
  const last = await transact();
  const began_ms = performance.now();
  await stream.reached(last.position);
  expect(performance.now() - began_ms).toBeLessThan(16_000);
  expect([stream.comments, stream.events]).toEqual([[''], []]);
  await stream.close();
});
