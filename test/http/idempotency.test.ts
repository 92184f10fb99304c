// Nothing happens twice, whatever the route: the key, its forms, its replay, its misuse.
import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { requestHash } from '../../src/http/idempotency.ts';
import { asSuperuser } from '../support/database.ts';
import { aKey, aPlatformKey, aTenant } from '../support/factories.ts';
import { startServer } from '../support/server.ts';
import { refusal } from './problems.ts';

const server = await startServer();
/** another process on the same database: it shares nothing with the first but what is stored */
const other_server = await startServer();

const account = (code: string) => ({ code, type: 'liability', currency: 'EUR' });

async function aClient() {
  return server.client((await aTenant()).api_key);
}

async function countEvents(type: string, code: string): Promise<number> {
  const rows = await asSuperuser(
    z.object({ count: z.string() }),
    `select count(*) from log.event where type = $1 and data->>'code' = $2`,
    [type, code],
  );
  return Number(rows[0]?.count);
}

test('a mutating request without a key is refused', async () => {
  const api = await aClient();
  const wanted = '400 idempotency_key_missing #/header/Idempotency-Key required';
  expect(refusal(await api.post('/v1/accounts', account('a'), { key: null }))).toBe(wanted);
  expect(refusal(await api.post('/v1/transactions', {}, { key: null }))).toBe(wanted);
  expect(refusal(await api.patch('/v1/accounts/a', {}, { key: null }))).toBe(wanted);
  expect(refusal(await api.post('/v1/accounts', account('a'), { key: '' }))).toBe(wanted);
});

test.each([
  ['256 characters', 'k'.repeat(256)],
  ['a space', 'a b'],
  ['two keys', 'a, b'],
  ['beyond ASCII', 'cl\u00e9'],
  ['a quote that does not close', '"a'],
  ['quoted, with a quote inside', '"a"b"'],
  ['quoted and empty', '""'],
  ['quoted, 256 characters', `"${'k'.repeat(256)}"`],
  ['quoted with parameters', '"a";b=1'],
])('a key of %s is refused', async (_, key) => {
  const api = await aClient();
  const answer = await api.post('/v1/accounts', account('a'), { key });
  expect(refusal(answer)).toBe(
    '400 idempotency_key_invalid #/header/Idempotency-Key idempotency_key_invalid',
  );
});

test.each([
  ['255 characters', 'k'.repeat(255), 'k'.repeat(255)],
  ['quoted as in the IETF draft', 'order-1', '"order-1"'],
  ['quoted with escapes', 'a\\b"c', '"a\\\\b\\"c"'],
  ['every kind of character', "!#$%&'()*+,-./:;<=>?@[]^_`{|}~", '"!#$%&\'()*+,-./:;<=>?@[]^_`{|}~"'],
])('a key of %s is the same key in both forms', async (_, plain, quoted) => {
  const api = await aClient();
  const first = await api.post('/v1/accounts', account('a'), { key: plain });
  const second = await api.post('/v1/accounts', account('a'), { key: quoted });
  expect([first.status, second.status, second.text]).toEqual([201, 201, first.text]);
});

test('the same request again is answered with the same bytes, and nothing happens', async () => {
  const api = await aClient();
  const key = randomUUID();
  const code = `again:${key}`;
  const first = await api.post('/v1/accounts', account(code), { key });
  expect([first.status, first.headers.get('idempotent-replayed')]).toEqual([201, null]);
  for (const client of [api, other_server.client(api.api_key)]) {
    const again = await client.post('/v1/accounts', account(code), { key });
    expect([again.status, again.text]).toEqual([first.status, first.text]);
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    expect(again.headers.get('request-id')).not.toBe(first.headers.get('request-id'));
  }
  expect(await countEvents('ledger.account_created', code)).toBe(1);
});

test('a key that was used is refused for another body, path, query or method, before anything else is looked at', async () => {
  const api = await aClient();
  const key = randomUUID();
  await api.post('/v1/accounts', account('reuse:1'), { key });
  const reused = '422 idempotency_key_reused #/header/Idempotency-Key idempotency_key_reused';
  expect(refusal(await api.post('/v1/accounts', account('reuse:2'), { key }))).toBe(reused);
  expect(refusal(await api.post('/v1/accounts?x=1', account('reuse:1'), { key }))).toBe(reused);
  expect(refusal(await api.post('/v1/transactions', account('reuse:1'), { key }))).toBe(reused);
  expect(refusal(await api.patch('/v1/accounts/reuse:1', { name: 'x' }, { key }))).toBe(reused);
  expect(refusal(await api.post('/v1/accounts/none/closure', {}, { key }))).toBe(reused);
  expect(refusal(await api.post('/v1/accounts', undefined, { key, raw: '{"code"' }))).toBe(reused);
  expect(refusal(await api.post('/v1/accounts', undefined, { key, raw: '\u0000' }))).toBe(reused);
  expect(
    refusal(await api.post('/v1/accounts', {}, { key, headers: { 'Content-Type': 'text/plain' } })),
  ).toBe(reused);
  expect(refusal(await api.post('/v1/accounts', undefined, { key, raw: ' '.repeat(2_000_000) }))).toBe(
    reused,
  );
  // A space more is another body.
  expect(
    refusal(
      await api.post('/v1/accounts', undefined, { key, raw: `${JSON.stringify(account('reuse:1'))} ` }),
    ),
  ).toBe(reused);
});

test('who may not do it is told so before the key is looked at', async () => {
  const tenant = await aTenant();
  const auditor = server.client((await aKey(tenant.id, 'auditor')).api_key);
  const key = randomUUID();
  await server.client(tenant.api_key).post('/v1/accounts', account('a'), { key });
  expect(refusal(await auditor.post('/v1/accounts', account('a'), { key }))).toBe('403 forbidden');
  expect(refusal(await auditor.post('/v1/accounts', undefined, { key: null, raw: '{' }))).toBe(
    '403 forbidden',
  );
});

test('a request is its method, its target and the bytes of its body', () => {
  const body = Buffer.from('{}');
  const hashes = [
    requestHash('POST', '/v1/a', body),
    requestHash('PUT', '/v1/a', body),
    requestHash('POST', '/v1/a?b=1', body),
    requestHash('POST', '/v1/a', Buffer.from('{} ')),
  ];
  expect(new Set(hashes).size).toBe(hashes.length);
  expect(requestHash('POST', '/v1/a', Buffer.from('{}'))).toBe(hashes[0]);
});

test('the key is the tenant’s: another tenant may use the same', async () => {
  const key = randomUUID();
  const [one, two] = [await aClient(), await aClient()];
  const first = await one.post('/v1/accounts', account('a'), { key });
  const second = await two.post('/v1/accounts', account('b'), { key });
  expect([first.status, second.status]).toEqual([201, 201]);
});

test('a refusal that was evaluated stays, even when it would no longer be one', async () => {
  const api = await aClient();
  const key = randomUUID();
  await api.post('/v1/accounts', account('closing:1'));
  const refused = await api.post('/v1/accounts/closing:1/reopening', {}, { key });
  expect(refusal(refused)).toBe('409 account_not_closed');
  await api.post('/v1/accounts/closing:1/closure', {});
  const again = await api.post('/v1/accounts/closing:1/reopening', {}, { key });
  expect([again.status, again.text]).toEqual([409, refused.text]);
  expect(again.headers.get('content-type')).toBe('application/problem+json');
  expect(again.headers.get('idempotent-replayed')).toBe('true');
  expect(refusal(await api.post('/v1/accounts/closing:1/closure', {}, { key }))).toBe(
    '422 idempotency_key_reused #/header/Idempotency-Key idempotency_key_reused',
  );
});

test('what was refused for its shape, or for a thing that does not exist, leaves the key free', async () => {
  const api = await aClient();
  const key = randomUUID();
  expect((await api.post('/v1/accounts', { code: 1 }, { key })).status).toBe(400);
  expect((await api.post('/v1/accounts', undefined, { key, raw: '{' })).status).toBe(400);
  expect((await api.post('/v1/accounts/none/closure', {}, { key })).status).toBe(404);
  expect(
    (await api.patch('/v1/accounts/none', {}, { key, headers: { 'Content-Type': 'text/plain' } })).status,
  ).toBe(415);
  expect((await api.post('/v1/accounts', account('free:1'), { key })).status).toBe(201);
});

test('one of twenty that come at once does it, whichever process they reach', async () => {
  const api = await aClient();
  const clients = [api, other_server.client(api.api_key)];
  for (let round = 0; round < 5; round += 1) {
    const key = randomUUID();
    const code = `crowd:${key}`;
    const answers = await Promise.all(
      Array.from({ length: 20 }, async (_, index) =>
        clients[index % 2]?.post('/v1/accounts', account(code), { key }),
      ),
    );
    const done = answers.filter((answer) => answer?.status === 201);
    expect(new Set(done.map((answer) => answer?.text)).size).toBe(1);
    expect(done.filter((answer) => answer?.headers.get('idempotent-replayed') === null)).toHaveLength(1);
    const waiting = answers.filter((answer) => answer?.status !== 201);
    for (const answer of waiting) {
      expect(refusal({ body: answer?.body })).toBe('409 idempotency_key_in_use');
      expect(answer?.headers.get('retry-after')).toBe('1');
    }
    expect(await countEvents('ledger.account_created', code)).toBe(1);
  }
});

test('of two processes with different requests under one key, one is done and the other refused', async () => {
  const api = await aClient();
  const other = other_server.client(api.api_key);
  for (let round = 0; round < 10; round += 1) {
    const key = randomUUID();
    const codes = [`one:${key}`, `two:${key}`];
    const answers = await Promise.all([
      api.post('/v1/accounts', account(`one:${key}`), { key }),
      other.post('/v1/accounts', account(`two:${key}`), { key }),
    ]);
    expect(answers.map((answer) => answer.status).sort()).toEqual([201, 422]);
    const counts = await Promise.all(codes.map((code) => countEvents('ledger.account_created', code)));
    expect(counts.sort()).toEqual([0, 1]);
  }
});

test('an answer with a secret is replayed whole to the key that asked, and is not readable in the database', async () => {
  const platform = server.client(await aPlatformKey());
  const key = randomUUID();
  const tenant = { slug: `t-${key.slice(0, 8)}`, name: 'Acme', template: 'blank', currency: 'EUR' };
  const first = await platform.post('/v1/tenants', tenant, { key });
  const again = await platform.post('/v1/tenants', tenant, { key });
  expect([again.status, again.text]).toEqual([201, first.text]);
  const api_key = z.object({ owner_key: z.object({ api_key: z.string() }) }).parse(first.body)
    .owner_key.api_key;
  const secret = api_key.split('_').at(-1);
  const found = await asSuperuser(
    z.object({ found: z.boolean() }),
    'select exists (select from log.idempotency_key where body like $1) as found',
    [`%${secret}%`],
  );
  expect(found).toEqual([{ found: false }]);
});
