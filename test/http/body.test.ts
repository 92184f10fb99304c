// What may be wrong with a body, whichever route it is sent to. Nothing of it is ever written.
import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { aTenant } from '../support/factories.ts';
import { startServer } from '../support/server.ts';
import { waitFor } from '../support/wait.ts';
import { refusal } from './problems.ts';
import { openSocket, type RawConnection, requestHead } from './socket.ts';

const server = await startServer();
const tenant = await aTenant();
const api = server.client(tenant.api_key);

const account = { code: 'customers:alice', type: 'liability', currency: 'EUR' };

async function sendRaw(raw: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}) {
  return refusal(await api.post('/v1/accounts', undefined, { raw, headers }));
}

test.each([
  ['cut short', '{"code": "a"', '400 malformed_json # malformed_json'],
  ['empty object cut', '{', '400 malformed_json # malformed_json'],
  ['a trailing comma', '{"code": "a",}', '400 malformed_json # malformed_json'],
  ['two values', '{} {}', '400 malformed_json # malformed_json'],
  ['a comment', '{"code": "a" /* b */}', '400 malformed_json # malformed_json'],
  ['NaN', '{"code": NaN}', '400 malformed_json # malformed_json'],
  ['a raw control character', '{"code": "a\u0001"}', '400 malformed_json # malformed_json'],
  ['a byte order mark', '\ufeff{}', '400 malformed_json # malformed_json'],
  [
    'an unknown field',
    '{"colour": 1}',
    '400 invalid_request #/code required, #/type required, #/currency required, #/colour unknown_field',
  ],
  ['NUL', '{"code": "a\\u0000b"}', '400 invalid_request #/code nul_character'],
  [
    'NUL deep inside',
    '{"metadata": {"k": ["x", {"y": "\\u0000"}]}}',
    '400 invalid_request #/metadata/k/1/y nul_character',
  ],
  ['NUL in a name', '{"metadata": {"\\u0000": "x"}}', '400 invalid_request #/metadata nul_character'],
  ['a lone high surrogate', '{"name": "\\ud83d"}', '400 invalid_request #/name lone_surrogate'],
  ['a lone low surrogate', '{"name": "\\ude00 \\ud83d"}', '400 invalid_request #/name lone_surrogate'],
  [
    'a lone surrogate in a name',
    '{"metadata": {"\\udc00": "x"}}',
    '400 invalid_request #/metadata lone_surrogate',
  ],
  ['a field given twice', '{"code": "a", "code": "b"}', '400 invalid_request #/code repeated_field'],
  [
    'a field given twice, disguised',
    '{"code": "a", "\\u0063ode": "b"}',
    '400 invalid_request #/code repeated_field',
  ],
  [
    'a field given twice in an item',
    '{"a": [{"b": ":"}, {"c~/": [1, {"x": 1}], "c~/": 2}]}',
    '400 invalid_request #/a/1/c~0~1 repeated_field',
  ],
  ['__proto__', '{"__proto__": {"code": "a"}}', '400 invalid_request #/__proto__ unknown_field'],
  [
    '__proto__, disguised',
    '{"metadata": {"__pr\\u006fto__": "a"}}',
    '400 invalid_request #/metadata/__proto__ unknown_field',
  ],
  ['a depth bomb', `${'['.repeat(100_000)}${']'.repeat(100_000)}`, '400 invalid_request # too_deep'],
  ['an array', '[]', '400 invalid_request # invalid_type'],
  ['null', 'null', '400 invalid_request # invalid_type'],
  ['a number', '1', '400 invalid_request # invalid_type'],
  ['nothing', '', '400 invalid_request # required'],
])('%s is refused and named', async (_, raw, wanted) => {
  expect(await sendRaw(raw)).toBe(wanted);
});

test('a body that is not UTF-8 is refused', async () => {
  const bytes = new Uint8Array([...new TextEncoder().encode('{"code": "'), 0xed, 0xa0, 0x80, 0x22, 0x7d]);
  expect(await sendRaw(bytes)).toBe('400 malformed_json');
});

test('whole characters beyond the first plane and escaped letters are kept', async () => {
  const raw = '{"code": "emoji:1", "type": "asset", "currency": "EUR", "name": "\\ud83d\\ude00 \\u00e9 😀"}';
  const answer = await api.post('/v1/accounts', undefined, { raw });
  expect(answer.body).toMatchObject({ name: '😀 é 😀' });
});

test.each([
  ['text/plain', 415],
  ['application/x-www-form-urlencoded', 415],
  ['multipart/form-data; boundary=x', 415],
  ['application/json; charset=latin1', 415],
  ['application/x-ndjson', 415],
  ['application/json; charset=utf-8', 201],
  ['Application/JSON;charset="UTF-8"', 201],
])('a body sent as %s is answered %i', async (type, status) => {
  const raw = JSON.stringify({ ...account, code: `media:${randomUUID()}` });
  const answer = await api.post('/v1/accounts', undefined, { raw, headers: { 'Content-Type': type } });
  expect(answer.status).toBe(status);
});

test('a body without a type, or compressed, is refused', async () => {
  const raw = new Uint8Array([0x7b, 0x7d]);
  expect(await sendRaw(raw, { 'Content-Encoding': 'gzip' })).toBe('415 unsupported_media_type');
  const connection = await openSocket(server.url);
  connection.socket.write(
    `${requestHead('/v1/accounts', { 'Idempotency-Key': 'k', 'Content-Length': 2 }, tenant.api_key)}{}`,
  );
  expect((await connection.answer()).status).toBe(415);
  connection.socket.destroy();
});

test('a body of 100 MB is refused before it is read, and the client learns why', async () => {
  const connection = await openSocket(server.url);
  const headers = {
    'Idempotency-Key': randomUUID(),
    'Content-Type': 'application/json',
    'Content-Length': 100_000_000,
  };
  connection.socket.write(requestHead('/v1/accounts', headers, tenant.api_key));
  const answer = await connection.answer();
  expect(answer.status).toBe(413);
  expect(answer.headers.get('connection')).toBe('close');
  expect(JSON.parse(answer.body)).toMatchObject({ code: 'body_too_large', limit_bytes: 1_048_576 });
  await waitFor('the connection is closed', connection.isClosed);
});

/** Begins a request whose body comes in chunks, of no declared length. */
async function beginChunked(): Promise<RawConnection> {
  const connection = await openSocket(server.url);
  const headers = {
    'Idempotency-Key': randomUUID(),
    'Content-Type': 'application/json',
    'Transfer-Encoding': 'chunked',
  };
  connection.socket.write(requestHead('/v1/accounts', headers, tenant.api_key));
  return connection;
}

test('an endless body is cut off', async () => {
  const connection = await beginChunked();
  const chunk = `10000\r\n${' '.repeat(0x10000)}\r\n`;
  let sent_bytes = 0;
  const push = () => {
    while (sent_bytes < 100_000_000 && !connection.isClosed()) {
      sent_bytes += 0x10000;
      if (!connection.socket.write(chunk)) return;
    }
  };
  connection.socket.on('drain', push);
  push();
  const answer = await connection.answer();
  expect(answer.status).toBe(413);
  await waitFor('the connection is closed', connection.isClosed);
  expect(sent_bytes).toBeLessThan(100_000_000);
});

/** How many bodies the server has answered with 413. */
async function countRefused(): Promise<number> {
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  return Number(/http_request_seconds_count\{.*status="413"\} (\d+)/.exec(metrics)?.[1] ?? 0);
}

test('a client that reads only after it has sent too much still reads its answer', async () => {
  const connection = await beginChunked();
  connection.socket.pause();
  const chunk = `10000\r\n${' '.repeat(0x10000)}\r\n`;
  const send = () => new Promise((resolve) => connection.socket.write(chunk, resolve));
  const refused = await countRefused();
  for (let sent = 0; sent < 20; sent += 1) await send();
  await waitFor('the server has refused it', async () => (await countRefused()) > refused);
  // One after the other, so that a connection that was cut is noticed.
  for (let sent = 0; sent < 20; sent += 1) await send();
  connection.socket.resume();
  expect((await connection.answer()).status).toBe(413);
  connection.socket.destroy();
});

test('a body in chunks is held to the same limit', async () => {
  const statuses: number[] = [];
  for (const bytes of [1_048_576, 1_048_577]) {
    const connection = await beginChunked();
    const body = JSON.stringify({ ...account, code: 'chunked:1' }).padEnd(bytes, ' ');
    connection.socket.write(`${bytes.toString(16)}\r\n${body}\r\n0\r\n\r\n`);
    statuses.push((await connection.answer()).status);
    connection.socket.destroy();
  }
  expect(statuses).toEqual([201, 413]);
});

test('a body up to the limit is read, one byte more is not', async () => {
  const padded = (bytes: number) => JSON.stringify(account).padEnd(bytes, ' ');
  expect((await api.post('/v1/accounts', undefined, { raw: padded(1_048_576) })).status).toBe(201);
  expect((await api.post('/v1/accounts', undefined, { raw: padded(1_048_577) })).status).toBe(413);
});

test('whoever may not post is not asked for the body', async () => {
  const connection = await openSocket(server.url);
  const headers = { 'Content-Type': 'application/json', 'Content-Length': 500_000, Expect: '100-continue' };
  connection.socket.write(requestHead('/v1/accounts', headers, null));
  expect((await connection.answer()).status).toBe(401);
  await waitFor('the connection is closed', connection.isClosed);
});

test('who may, is asked for it', async () => {
  const connection = await openSocket(server.url);
  const body = JSON.stringify({ ...account, code: 'expect:1' });
  const headers = {
    'Idempotency-Key': randomUUID(),
    'Content-Type': 'application/json',
    'Content-Length': body.length,
    Expect: '100-continue',
  };
  connection.socket.write(requestHead('/v1/accounts', headers, tenant.api_key));
  await waitFor('the body is asked for', () =>
    connection.received().startsWith('HTTP/1.1 100 Continue\r\n\r\n'),
  );
  connection.socket.write(body);
  await waitFor('the account is there', () => connection.received().includes('HTTP/1.1 201 Created'));
  connection.socket.destroy();
});

test('a client that leaves in the middle of its body leaves nothing behind', async () => {
  const key = randomUUID();
  const body = JSON.stringify({ ...account, code: 'left:1' });
  const headers = {
    'Idempotency-Key': key,
    'Content-Type': 'application/json',
    'Content-Length': body.length,
  };
  const connection = await openSocket(server.url);
  connection.socket.write(requestHead('/v1/accounts', headers, tenant.api_key) + body.slice(0, 10));
  connection.socket.destroy();
  await waitFor('the connection is closed', connection.isClosed);
  expect((await api.get('/v1/accounts/left:1')).status).toBe(404);
  // The key is free again.
  expect((await api.post('/v1/accounts', undefined, { raw: body, key })).status).toBe(201);
});

test('requests sent ahead on one connection are answered in order', async () => {
  const connection = await openSocket(server.url);
  const post = (code: string) => {
    const body = JSON.stringify({ ...account, code });
    const headers = {
      'Idempotency-Key': code,
      'Content-Type': 'application/json',
      'Content-Length': body.length,
    };
    return requestHead('/v1/accounts', headers, tenant.api_key) + body;
  };
  connection.socket.write(
    post('ahead:1') + post('ahead:2') + requestHead('GET /v1/accounts/none', {}, tenant.api_key),
  );
  await waitFor('three answers', () => connection.received().split('HTTP/1.1 ').length === 4);
  const statuses = [...connection.received().matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status);
  expect(statuses).toEqual(['201', '201', '404']);
  connection.socket.destroy();
});
