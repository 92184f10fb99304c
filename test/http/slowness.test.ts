// Clients that are slow, or not speaking HTTP at all, hold nothing for long and learn why.
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { readConfig } from '../../src/config.ts';
import { createApp } from '../../src/http/app.ts';
import { createHttpServer } from '../../src/http/server.ts';
import { createLogger } from '../../src/log.ts';
import { createModules } from '../../src/modules.ts';
import { database } from '../support/database.ts';
import { aTenant } from '../support/factories.ts';
import { serverEnvironment } from '../support/server.ts';
import { waitFor } from '../support/wait.ts';
import { listen } from './listening.ts';
import { openSocket, requestHead } from './socket.ts';

const context = {
  config: readConfig(serverEnvironment()),
  database,
  logger: createLogger('warn'),
  metrics: new Registry(),
  draining: new AbortController().signal,
};
const app = createApp(context, createModules(context), { schemaDifferences: async () => [] });
const timeouts = {
  headers_ms: 600,
  request_ms: 1_200,
  keep_alive_ms: 60_000,
  untaken_ms: 300,
  check_ms: 50,
};
const server = createHttpServer(app, timeouts);
const url = await listen(server);

test('a body that arrives too slowly is answered 408, and the connection ends', async () => {
  const { api_key } = await aTenant();
  const connection = await openSocket(url);
  const headers = {
    'Idempotency-Key': randomUUID(),
    'Content-Type': 'application/json',
    'Content-Length': 100,
  };
  connection.socket.write(`${requestHead('/v1/keys', headers, api_key)}{"name": `);
  const dripping = setInterval(() => connection.socket.write(' '), 50);
  const answer = await connection.answer();
  clearInterval(dripping);
  expect(answer.status).toBe(408);
  expect(answer.headers.get('content-type')).toBe('application/problem+json');
  expect(answer.headers.get('connection')).toBe('close');
  const problem: unknown = JSON.parse(answer.body);
  expect(problem).toMatchObject({ code: 'request_timeout', retryable: true, status: 408 });
  expect(problem).toHaveProperty('request_id', answer.headers.get('request-id'));
  await waitFor('the connection is closed', connection.isClosed);
});

test('a head that arrives too slowly is answered 408', async () => {
  const connection = await openSocket(url);
  connection.socket.write('GET /livez HTTP/1.1\r\nHost: ');
  expect((await connection.answer()).status).toBe(408);
  await waitFor('the connection is closed', connection.isClosed);
});

test.each([
  ['what is not HTTP', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n'],
  ['a head beyond 16 KiB', `GET /livez HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`],
  ['a space in a header name', 'GET /livez HTTP/1.1\r\nHost: a\r\nA b: c\r\n\r\n'],
  ['two lengths', 'POST /v1/keys HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'],
  [
    'a length and chunks',
    'POST /v1/keys HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ],
])('%s is answered 400 with a problem', async (_, bytes) => {
  const connection = await openSocket(url);
  connection.socket.write(bytes, 'latin1');
  const answer = await connection.answer();
  expect(answer.status).toBe(400);
  expect(JSON.parse(answer.body)).toMatchObject({ code: 'invalid_request', status: 400 });
  await waitFor('the connection is closed', connection.isClosed);
});

test.each([
  ['an answer', '/openapi.json'],
  ['a file of the viewer', '/docs/swagger-ui-bundle.js'],
])('a client that takes nothing of %s is cut off, and what waits behind it with it', async (_, path) => {
  const connected = once(server, 'connection');
  const connection = await openSocket(url);
  const [served] = z.tuple([z.instanceof(Socket)]).parse(await connected);
  connection.socket.pause();
  // More than the buffers of both ends take.
  connection.socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`.repeat(20));
  await waitFor('an answer waits', () => served.writableLength > 0);
  await waitFor('the connection is cut off', () => served.destroyed);
  connection.socket.destroy();
});

test('what cannot be read is refused after the answers to what came before it', async () => {
  const taken: ServerResponse[] = [];
  const holding = createHttpServer((_request, response) => taken.push(response), timeouts);
  const connection = await openSocket(await listen(holding));
  connection.socket.write('GET /first HTTP/1.1\r\nHost: a\r\n\r\nGET /second HTTP/1.1\r\nHost: a\r\n\r\n');
  await waitFor('both are in work', () => taken.length === 2);
  const refused = once(holding, 'clientError');
  connection.socket.write('no HTTP\r\n\r\nand no HTTP again\r\n\r\n');
  await refused;
  taken[1]?.end('second');
  taken[0]?.end('first');
  await waitFor('the connection is closed', connection.isClosed);
  const answers = connection.received().split('HTTP/1.1 ').slice(1);
  expect(answers.map((answer) => answer.slice(0, 3))).toEqual(['200', '200', '400']);
  expect(answers[2]).toContain('"code":"invalid_request"');
});
