// What every answer carries, what limits a key, and what never reaches a log line.
import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { asSuperuser } from '../support/database.ts';
import { anAccount, aTenant } from '../support/factories.ts';
import { startProcess } from '../support/process.ts';
import { startServer } from '../support/server.ts';
import { ProblemSchema, refusal } from './problems.ts';

const server = await startServer();
const limited = await startServer({ RATE_LIMIT_PER_SECOND: '5' });
const logging = await startProcess({ LOG_LEVEL: 'trace' });

test('every answer names its request, and forbids browsers what they need not do', async () => {
  const api = server.client((await aTenant()).api_key);
  const answers = [
    await api.get('/v1/accounts'),
    await api.post('/v1/accounts', {}),
    await api.get('/v1/none', { undocumented: true }),
    await api.delete('/v1/accounts', { undocumented: true }),
    await server.client(null).get('/v1/accounts'),
  ];
  for (const { status, headers, body } of answers) {
    const request_id = headers.get('request-id');
    expect(request_id).toMatch(/^req_[0-9a-hjkmnp-tv-z]{26}$/);
    if (status >= 400) expect(ProblemSchema.parse(body).request_id).toBe(request_id);
    expect(Object.fromEntries([...headers].filter(([name]) => fixed_names.includes(name)))).toEqual({
      'cache-control': 'no-store',
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
      'referrer-policy': 'no-referrer',
      'strict-transport-security': 'max-age=31536000',
      'x-content-type-options': 'nosniff',
    });
    expect(headers.get('x-powered-by')).toBeNull();
  }
  expect(new Set(answers.map(({ headers }) => headers.get('request-id'))).size).toBe(answers.length);
});

const fixed_names = [
  'cache-control',
  'content-security-policy',
  'referrer-policy',
  'strict-transport-security',
  'x-content-type-options',
];

test('the id of a request is in the events that it caused', async () => {
  const api = server.client((await aTenant()).api_key);
  const answer = await api.post('/v1/accounts', { code: 'caused:1', type: 'asset', currency: 'EUR' });
  const rows = await asSuperuser(
    z.object({ request_id: z.string() }),
    `select request_id from log.event where data->>'code' = 'caused:1'`,
  );
  expect(rows).toEqual([{ request_id: answer.headers.get('request-id') }]);
});

test('a key that asks too often is told when to come back, and others are not held up', async () => {
  const [one, other] = [limited.client((await aTenant()).api_key), limited.client((await aTenant()).api_key)];
  const answers = await Promise.all(Array.from({ length: 8 }, () => one.get('/v1/me')));
  const refused = answers.filter((answer) => answer.status === 429);
  expect(refused.length).toBeGreaterThanOrEqual(2);
  const [first] = refused;
  expect(refusal({ body: first?.body })).toBe('429 rate_limited');
  expect(ProblemSchema.parse(first?.body)).toMatchObject({ retryable: true });
  expect(first?.headers.get('retry-after')).toBe('1');
  expect(first?.headers.get('ratelimit-policy')).toBe('"key";q=5;w=1');
  expect(first?.headers.get('ratelimit')).toBe('"key";r=0;t=1');
  const fine = await other.get('/v1/me');
  expect([fine.status, fine.headers.get('ratelimit-policy')]).toEqual([200, '"key";q=5;w=1']);
  expect(fine.headers.get('ratelimit')).toBe('"key";r=4;t=1');
});

test('a refused mutation under the rate limit leaves its key free', async () => {
  const api = limited.client((await aTenant()).api_key);
  const key = randomUUID();
  const account = { code: 'late:1', type: 'asset', currency: 'EUR' };
  const answers = await Promise.all(Array.from({ length: 8 }, () => api.get('/v1/me')));
  expect(answers.some((answer) => answer.status === 429)).toBe(true);
  const unlimited = server.client(api.api_key);
  const tried = await api.post('/v1/accounts', account, { key });
  const done = await unlimited.post('/v1/accounts', account, { key });
  expect([429, 201]).toContain(tried.status);
  expect(done.status).toBe(201);
});

test('without a limit no answer speaks of one', async () => {
  const answer = await server.client((await aTenant()).api_key).get('/v1/me');
  expect([answer.headers.get('ratelimit'), answer.headers.get('ratelimit-policy')]).toEqual([null, null]);
});

test('log lines name requests by template, and never hold a key, a secret or what was sent', async () => {
  const tenant = await aTenant();
  const api = logging.client(tenant.api_key);
  const secret = tenant.api_key.split('_').at(-1) ?? '';
  const canary = `canary-${randomUUID()}`;
  const traceparent = `00-${randomUUID().replaceAll('-', '')}-00f067aa0ba902b7-01`;
  const headers = { traceparent, Cookie: `session=${canary}`, 'X-Canary': canary };
  await anAccount(api, { code: `c:${canary}`, name: canary, metadata: { note: canary } });
  await api.get(`/v1/accounts/c:${canary}`, { headers });
  await api.get(`/v1/accounts/${tenant.api_key}`);
  await api.get(`/v1/accounts?code_prefix=${canary}&api_key=${tenant.api_key}`);
  await api.get(`/v1/${canary}/${tenant.api_key}`, { undocumented: true });
  await api.post('/v1/accounts', undefined, { raw: `{"${canary}": "${secret}"`, key: canary });
  await api.post('/v1/accounts', { code: `c:${canary}`, type: 'asset', currency: 'EUR' }, { key: canary });
  await logging.client(`${tenant.api_key}x`).get('/v1/me');
  await logging.client(`lk_live_${canary}`).get('/v1/me');
  await logging.end('SIGTERM');
  const output = logging.output();
  // It did log: each request by its template and id, and the trace it belongs to.
  expect(output).toContain('"route":"/v1/accounts/{account}"');
  expect(output).toContain('"route":"unmatched"');
  expect(output).toContain(traceparent);
  expect(output).not.toContain(canary);
  expect(output).not.toContain(secret);
});
