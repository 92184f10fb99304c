// What an orchestrator, a monitor and a newcomer ask of a process, without a key.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { readConfig } from '../../src/config.ts';
import { Database } from '../../src/db.ts';
import { createApp } from '../../src/http/app.ts';
import { createReadiness } from '../../src/http/health.ts';
import { createHttpServer } from '../../src/http/server.ts';
import { createLogger } from '../../src/log.ts';
import { database } from '../support/database.ts';
import { aTenant } from '../support/factories.ts';
import { serverEnvironment, startServer } from '../support/server.ts';
import { root } from '../support/source.ts';
import { listen } from './listening.ts';

const server = await startServer();
const token = 'a token of a monitor';

/** A process without modules, in whatever state. */
async function startApp(state: {
  database?: Database;
  draining?: true;
  differences?: string[];
}): Promise<string> {
  const context = {
    config: readConfig({ ...serverEnvironment(), METRICS_TOKEN: token }),
    database: state.database ?? database,
    logger: createLogger('silent'),
    metrics: new Registry(),
    draining: state.draining ? AbortSignal.abort() : new AbortController().signal,
  };
  const app = createApp(context, [], { schemaDifferences: async () => state.differences ?? [] });
  return listen(createHttpServer(app));
}

async function ask(url: string, headers: Record<string, string> = {}) {
  const response = await fetch(url, { headers });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

test('a process that serves is live and ready', async () => {
  expect(await ask(`${server.url}/livez`)).toMatchObject({ status: 200, text: '{"status":"live"}' });
  expect(await ask(`${server.url}/readyz`)).toMatchObject({
    status: 200,
    text: '{"status":"ready","checks":{"database":"ok","schema":"ok","process":"ok"}}',
  });
});

test('a process that stops is live but not ready, and ends its connections', async () => {
  const url = await startApp({ draining: true });
  expect((await ask(`${url}/livez`)).status).toBe(200);
  const ready = await ask(`${url}/readyz`);
  expect([ready.status, ready.text]).toEqual([
    503,
    '{"status":"not_ready","checks":{"database":"ok","schema":"ok","process":"stopping"}}',
  ]);
  expect(ready.headers.get('connection')).toBe('close');
});

test('a process whose schema is behind is not ready', async () => {
  const url = await startApp({ differences: ['0001_log.sql is not applied'] });
  const ready = await ask(`${url}/readyz`);
  expect([ready.status, ready.text]).toEqual([
    503,
    '{"status":"not_ready","checks":{"database":"ok","schema":"not current: run `lattice migrate`","process":"ok"}}',
  ]);
});

test('a process without its database is live but not ready, and says so at once', async () => {
  const unreachable = new Database({
    connection_string: 'postgres://lattice_app@127.0.0.1:1/none',
    size: 2,
    application_name: 'lattice test',
    logger: createLogger('silent'),
  });
  const url = await startApp({ database: unreachable });
  expect((await ask(`${url}/livez`)).status).toBe(200);
  const ready = await ask(`${url}/readyz`);
  expect([ready.status, ready.text]).toEqual([
    503,
    '{"status":"not_ready","checks":{"database":"not reachable","schema":"ok","process":"ok"}}',
  ]);
  await unreachable.end();
});

test('however many ask at once whether a process is ready, the database is asked once', async () => {
  const answered = Promise.withResolvers<string[]>();
  let count = 0;
  const context = {
    config: readConfig(serverEnvironment()),
    database,
    logger: createLogger('silent'),
    metrics: new Registry(),
    draining: new AbortController().signal,
  };
  const readiness = createReadiness(context, () => {
    count += 1;
    return answered.promise;
  });
  const asked = Array.from({ length: 100 }, () => readiness());
  answered.resolve([]);
  expect((await Promise.all(asked)).every(({ ready }) => ready)).toBe(true);
  expect(count).toBe(1);
});

test('metrics count requests by template, and name no tenant', async () => {
  const tenant = await aTenant();
  await server.client(tenant.api_key).get('/v1/accounts/none');
  await server.client(tenant.api_key).get('/v1/nothing/here', { undocumented: true });
  const { status, headers, text } = await ask(`${server.url}/metrics`);
  expect([status, headers.get('content-type')]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8']);
  expect(text).toContain(
    'lattice_http_request_seconds_count{route="/v1/accounts/{account}",method="GET",status="404"} 1',
  );
  expect(text).toContain('lattice_http_request_seconds_count{route="unmatched",method="GET",status="404"} 1');
  expect(text).not.toContain('/v1/nothing');
  for (const secret of [tenant.id, tenant.slug, tenant.api_key]) expect(text).not.toContain(secret);
});

test('metrics are for the machine itself, or for the bearer of the token', async () => {
  const url = await startApp({});
  const seen = [
    await ask(`${url}/metrics`),
    await ask(`${url}/metrics`, { 'X-Forwarded-For': '203.0.113.9' }),
    await ask(`${url}/metrics`, { Forwarded: 'for=203.0.113.9' }),
    await ask(`${url}/metrics`, { Authorization: `Bearer ${token}` }),
    await ask(`${url}/metrics`, { Authorization: `Bearer ${token}`, 'X-Forwarded-For': '203.0.113.9' }),
    await ask(`${url}/metrics`, { Authorization: 'Bearer another' }),
  ];
  expect(seen.map(({ status }) => status)).toEqual([200, 404, 404, 200, 200, 404]);
});

test('the document is served as it is committed', async () => {
  const { status, headers, text } = await ask(`${server.url}/openapi.json`);
  expect([status, headers.get('content-type')]).toEqual([200, 'application/json']);
  expect(text === readFileSync(join(root, 'openapi/openapi.json'), 'utf8')).toBe(true);
  expect(JSON.parse(text)).toMatchObject({ openapi: '3.1.1', info: { title: 'Lattice' } });
});

test('the front door leads to the documentation', async () => {
  const response = await fetch(`${server.url}/`, { redirect: 'manual' });
  expect([response.status, response.headers.get('location')]).toEqual([302, '/docs/']);
});

test('the documentation comes from this process alone', async () => {
  const page = await ask(`${server.url}/docs/`);
  expect(page.status).toBe(200);
  expect(page.headers.get('content-security-policy')).toBe(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'",
  );
  const sources = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, source = '']) => source);
  expect(sources.length).toBeGreaterThan(3);
  for (const source of sources) {
    expect(source).toMatch(/^\.\//);
    expect((await ask(new URL(source, `${server.url}/docs/`).href)).status).toBe(200);
  }
  const settings = await ask(`${server.url}/docs/swagger-ui-init.js`);
  expect(settings.text).toContain('"swaggerUrl": "/openapi.json"');
  expect(settings.text).toContain('"validatorUrl": null');
  expect(page.headers.get('request-id')).toMatch(/^req_/);
});
