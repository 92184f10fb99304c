// A stop with grace: what is under way is answered whole, however large, and what is not holds nothing up.
import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { anAccount, aTenant } from '../support/factories.ts';
import { startServer } from '../support/server.ts';
import { waitFor } from '../support/wait.ts';
import { openSocket, requestHead } from './socket.ts';

async function aBook() {
  const server = await startServer();
  const { api_key } = await aTenant();
  const api = server.client(api_key);
  await anAccount(api, { code: 'cash', type: 'asset' });
  await anAccount(api, { code: 'alice' });
  return { ...server, api, api_key };
}

/** As long on the way back as there: more than the buffers of two sockets take. */
function largeBulk(): string {
  const words = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`word-${i}`, 'w'.repeat(500)]));
  const transaction = {
    entries: [
      { account: 'cash', direction: 'debit', amount: '1' },
      { account: 'alice', direction: 'credit', amount: '1' },
    ],
    metadata: words,
  };
  return JSON.stringify({ atomic: true, transactions: Array.from({ length: 600 }, () => transaction) });
}

function bulkHead(body: string, api_key: string, more: Record<string, string> = {}): string {
  const headers = {
    'Content-Type': 'application/json',
    'Content-Length': body.length,
    'Idempotency-Key': randomUUID(),
    ...more,
  };
  return requestHead('/v1/transactions/bulk', headers, api_key);
}

test('an answer of many megabytes arrives whole when the server stops behind its head', async () => {
  const { url, api_key, close } = await aBook();
  const body = largeBulk();
  const { socket, received, isClosed } = await openSocket(url);
  socket.once('data', () => socket.pause());
  socket.write(bulkHead(body, api_key) + body);
  await waitFor('the answer has begun', () => socket.isPaused());
  const closed = close();
  await waitFor('nobody new is let in', () =>
    fetch(`${url}/livez`).then(
      () => false,
      () => true,
    ),
  );
  socket.resume();
  await waitFor('the connection is closed', isClosed);
  const [head = '', answer = ''] = received().split('\r\n\r\n');
  expect(head).toContain('HTTP/1.1 201');
  expect(answer.length).toBeGreaterThan(body.length);
  expect(head).toContain(`Content-Length: ${answer.length}\r\n`);
  await closed;
});

test('a body that was asked for may still come when unused connections are ended', async () => {
  const { url, api_key, close } = await aBook();
  const body = '{"atomic": false, "transactions": [{}]}';
  const unused = await openSocket(url);
  const { socket, received, isClosed } = await openSocket(url);
  socket.write(bulkHead(body, api_key, { Expect: '100-continue' }));
  await waitFor('the body is asked for', () => received().includes('100 Continue'));
  const closed = close();
  await waitFor('unused connections are ended', unused.isClosed);
  socket.write(body);
  await waitFor('the connection is closed', isClosed);
  expect(received()).toContain('HTTP/1.1 200 OK');
  await closed;
});

test('a connection whose refused body came late is ended when the server stops', async () => {
  const { url, api, close } = await aBook();
  const { socket, answer, isClosed } = await openSocket(url);
  socket.write(bulkHead('{}', 'lk_live_none'));
  expect(await answer()).toMatchObject({ status: 401 });
  socket.write('{}');
  // What was sent before an answered request has arrived.
  await api.get('/v1/me');
  const closed = close();
  // Long before it would be cut.
  await waitFor('the connection is closed', isClosed, { timeout_ms: 10_000 });
  await closed;
});
