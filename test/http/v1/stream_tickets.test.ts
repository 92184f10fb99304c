import { expect, test } from 'vitest';
import { z } from 'zod';
import { encodeId } from '../../../src/id.ts';
import { asSuperuser } from '../../support/database.ts';
import { aKey, aPlatformKey, aTenant, type TestTenant } from '../../support/factories.ts';
import { startServer } from '../../support/server.ts';
import { TestStream } from '../../support/stream.ts';
import { waitFor } from '../../support/wait.ts';

const server = await startServer();
const stream_path = '/v1/events/stream';

const TicketSchema = z.object({ ticket: z.string(), url: z.string(), expires_at: z.string() });

async function aTicket(tenant: TestTenant, path = stream_path, api_key = tenant.api_key) {
  return (await server.client(api_key).post('/v1/stream_tickets', { path })).as(TicketSchema);
}

/** What opening answers; a stream that opens is closed again. */
async function opening(url: string, base = server.url): Promise<number> {
  const stream = await TestStream.open(base + url);
  if (stream.status === 200) {
    await stream.live();
    await stream.close();
  } else await stream.ended;
  return stream.status;
}

test('a ticket opens one stream, once, in any process', async () => {
  const tenant = await aTenant();
  const other = await startServer();
  const ticket = await aTicket(tenant);
  expect(ticket.url).toBe(`${stream_path}?ticket=${ticket.ticket}`);
  const left_ms = Date.parse(ticket.expires_at) - Date.now();
  expect(left_ms).toBeGreaterThan(50_000);
  expect(left_ms).toBeLessThanOrEqual(60_000);
  expect(await opening(ticket.url, other.url)).toBe(200);
  expect(await opening(ticket.url)).toBe(401);
  const raced = await aTicket(tenant);
  const statuses = await Promise.all(Array.from({ length: 8 }, () => opening(raced.url)));
  expect(statuses.toSorted()).toEqual([200, 401, 401, 401, 401, 401, 401, 401]);
  await other.close();
});

test('a stream that is refused, for now or for its request, leaves the ticket as it is', async () => {
  const tenant = await aTenant();
  const narrow = await startServer({ STREAMS_PER_KEY: '1' });
  const ticket = await aTicket(tenant);
  const first = await TestStream.open(narrow.url + (await aTicket(tenant)).url);
  await first.live();
  const refused = await TestStream.open(narrow.url + ticket.url);
  await refused.ended;
  expect([refused.status, JSON.parse(refused.text)]).toEqual([
    429,
    expect.objectContaining({ code: 'stream_limit_reached', retryable: true }),
  ]);
  await first.close();
  expect(await opening(`${ticket.url}&after=x`, narrow.url)).toBe(400);
  await waitFor('it opens', async () => (await opening(ticket.url, narrow.url)) === 200);
  expect(await opening(ticket.url, narrow.url)).toBe(401);
  await narrow.close();
});

test('it is bound to the stream and its filters, whatever their order, but not to where it begins', async () => {
  const tenant = await aTenant();
  const path = `${stream_path}?types=ledger.account_created&account_prefix=customers:`;
  const { ticket } = await aTicket(tenant, path);
  for (const other of [
    stream_path,
    `${stream_path}?types=ledger.account_created`,
    `${stream_path}?types=ledger.account_created&account_prefix=customers:a`,
    `${path}&subject=txn_01h455vb4pex5vsknk084sn02q`,
  ]) {
    expect(await opening(`${other}${other.includes('?') ? '&' : '?'}ticket=${ticket}`)).toBe(401);
  }
  const in_another_order = `${stream_path}?after=0&account_prefix=customers%3A&ticket=${ticket}&types=ledger.account_created`;
  expect(await opening(in_another_order)).toBe(200);
});

test('it opens nothing when it has expired, or its key has been revoked', async () => {
  const tenant = await aTenant();
  const expired = await aTicket(tenant);
  await asSuperuser(
    z.unknown(),
    "update access.stream_ticket set expires_at = now() - interval '1 second' where tenant_id = $1",
    [tenant.id],
  );
  expect(await opening(expired.url)).toBe(401);
  const { api_key, actor_id } = await aKey(tenant.id, 'auditor');
  const revoked = await aTicket(tenant, stream_path, api_key);
  await server.client(tenant.api_key).post(`/v1/keys/${encodeId('key', actor_id)}/revocation`);
  expect(await opening(revoked.url)).toBe(401);
  // What has expired goes when the next is made; what was used is gone already, and what opened nothing stays until it expires.
  expect(await opening((await aTicket(tenant)).url)).toBe(200);
  const left = await asSuperuser(
    z.object({ expires_at: z.unknown() }),
    'select expires_at from access.stream_ticket where tenant_id = $1',
    [tenant.id],
  );
  expect(left).toHaveLength(1);
});

test('a stream that was opened by a ticket ends with the key that asked for the ticket', async () => {
  const tenant = await aTenant();
  const { api_key, actor_id } = await aKey(tenant.id, 'auditor');
  const { url } = await aTicket(tenant, stream_path, api_key);
  const stream = await TestStream.open(server.url + url);
  await stream.live();
  await server.client(tenant.api_key).post(`/v1/keys/${encodeId('key', actor_id)}/revocation`);
  expect(await stream.ended).toBe('ended');
});

test('what is no ticket is the same refusal', async () => {
  const tenant = await aTenant();
  const { ticket } = await aTicket(tenant);
  const refusals = new Set<string>();
  const forged = `${ticket.slice(0, -1)}${ticket.endsWith('0') ? '1' : '0'}`;
  const others = ticket.replace(/^st_.{26}/, `st_${encodeId('tenant', (await aTenant()).id).slice(4)}`);
  for (const wrong of ['', 'x', forged, others, ticket.toUpperCase(), tenant.api_key]) {
    const stream = await TestStream.open(`${server.url}${stream_path}?ticket=${wrong}`);
    await stream.ended;
    const {
      instance: _instance,
      request_id: _id,
      ...rest
    } = z.looseObject({}).parse(JSON.parse(stream.text));
    refusals.add(JSON.stringify([stream.status, rest]));
  }
  expect([...refusals]).toHaveLength(1);
  expect([...refusals][0]).toContain('"code":"unauthenticated"');
  // A ticket is for streams only.
  const response = await fetch(`${server.url}/v1/events?ticket=${ticket}`);
  expect(response.status).toBe(401);
});

test('it is for streams that there are', async () => {
  const tenant = await aTenant();
  for (const path of ['/v1/events', '/v1/nothing/stream', 'https://elsewhere.example/v1/events/stream', '']) {
    const answer = await server.client(tenant.api_key).post('/v1/stream_tickets', { path });
    expect([answer.status, answer.body]).toMatchObject([
      400,
      { code: 'invalid_request', errors: [{ pointer: '#/path', code: 'stream_unknown' }] },
    ]);
  }
});

test('it is shown once: repeated by another key, the request tells no secret', async () => {
  const tenant = await aTenant();
  const { api_key } = await aKey(tenant.id, 'operator');
  const options = { key: 'the-same-ticket' };
  const body = { path: stream_path };
  const first = await server.client(tenant.api_key).post('/v1/stream_tickets', body, options);
  const again = await server.client(tenant.api_key).post('/v1/stream_tickets', body, options);
  const others = await server.client(api_key).post('/v1/stream_tickets', body, options);
  expect(again.text).toBe(first.text);
  expect(others.body).toMatchObject({ ticket: null, url: null });
  const [stored] = await asSuperuser(
    z.object({ found: z.boolean() }),
    `select exists (
       select from access.stream_ticket where tenant_id = $1 and encode(secret_hash, 'escape') like '%' || $2 || '%'
     ) as found`,
    [tenant.id, first.as(TicketSchema).ticket],
  );
  expect(stored).toEqual({ found: false });
});

test('the platform follows its own log with one', async () => {
  const ticket = (
    await server.client(await aPlatformKey()).post('/v1/stream_tickets', { path: `${stream_path}?after=0` })
  ).as(TicketSchema);
  const stream = await TestStream.open(server.url + ticket.url);
  await stream.live();
  expect(stream.events.map(({ data }) => JSON.parse(data ?? '').type)).toContain('tenants.tenant_created');
  await stream.close();
});
