// The head of a request as HTTP/1.1 has it, which no HTTP client would let one write.
import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { aTenant } from '../support/factories.ts';
import { startServer } from '../support/server.ts';
import { refusal } from './problems.ts';
import { openSocket } from './socket.ts';

const server = await startServer();
const { api_key } = await aTenant();

async function send(...lines: string[]) {
  const { socket, answer } = await openSocket(server.url);
  socket.write(`${lines.join('\r\n')}\r\n\r\n`);
  const answered = await answer();
  socket.destroy();
  return answered;
}

const authorization = `Authorization: Bearer ${api_key}`;

test.each([
  ['without a Host', ['GET /v1/me HTTP/1.1', authorization], '400 invalid_request #/header/Host required'],
  [
    'that expects something',
    ['GET /v1/me HTTP/1.1', 'Host: a', authorization, 'Expect: foo'],
    '417 expectation_failed',
  ],
  [
    'that expects it of a mutation',
    ['POST /v1/accounts HTTP/1.1', 'Host: a', authorization, 'Content-Length: 2', 'Expect: 200-ok'],
    '417 expectation_failed',
  ],
])('a request %s is refused with a problem', async (_, lines, wanted) => {
  const { headers, body } = await send(...lines);
  const problem: unknown = JSON.parse(body);
  expect(refusal({ body: problem })).toBe(wanted);
  expect(headers.get('content-type')).toBe('application/problem+json');
  expect(problem).toHaveProperty('request_id', headers.get('request-id'));
});

test('HTTP/1.0 asks for no Host, and knows nothing of what a request expects', async () => {
  expect(await send('GET /livez HTTP/1.0', 'Expect: foo')).toMatchObject({ status: 200 });
});

test.each([
  ['/v1/me', 200],
  ['/v1/accounts?limit=1', 200],
  ['/livez', 200],
  ['/docs/', 200],
  ['/v1/nothing', 404],
])('%s is found in its absolute form too', async (path, status) => {
  for (const authority of ['http://x', 'HTTPS://ledger.internal:8420']) {
    const answer = await send(`GET ${authority}${path} HTTP/1.1`, 'Host: x', authorization);
    expect(answer.status, authority).toBe(status);
  }
});

test('a target without a path is that of the front door', async () => {
  for (const target of ['http://x', 'http://x?a=/v1/me']) {
    const answer = await send(`GET ${target} HTTP/1.1`, 'Host: x');
    expect([answer.status, answer.headers.get('location')], target).toEqual([302, '/docs/']);
  }
});

test('a request in its absolute form is the same request under its Idempotency-Key', async () => {
  const body = '{"code": "cash", "type": "asset", "currency": "EUR"}';
  const post = (target: string, key: string) =>
    send(
      `POST ${target} HTTP/1.1`,
      'Host: x',
      authorization,
      `Idempotency-Key: ${key}`,
      'Content-Type: application/json',
      `Content-Length: ${body.length}`,
      '',
      body,
    );
  const key = randomUUID();
  const first = await post('http://x/v1/accounts', key);
  const again = await post('/v1/accounts', key);
  expect([first.status, again.status, again.headers.get('idempotent-replayed')]).toEqual([201, 201, 'true']);
  expect(again.body).toBe(first.body);
});
