// Paths, methods, ids and queries that are not what the document says.
import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { encodeId, newUuid } from '../../src/id.ts';
import { anAccount, aPlatformKey, aTenant, aTransaction } from '../support/factories.ts';
import { startServer } from '../support/server.ts';
import { ProblemSchema, refusal } from './problems.ts';

const server = await startServer();
const api = server.client((await aTenant()).api_key);
const platform = server.client(await aPlatformKey());
const outside = { undocumented: true } as const;

test.each([
  '/v1',
  '/v1/',
  '/v1/nothing',
  '/v1/accounts/',
  '/v1/accounts//balance',
  '/v1/accounts/a/b/c',
  '//v1/accounts',
  '/v1/accounts%2fa',
  '/V1/accounts',
  '/openapi.yaml',
  '/.env',
])('there is nothing at %s', async (path) => {
  const answer = await api.get(path, outside);
  expect(refusal(answer)).toBe('404 not_found');
  expect(answer.headers.get('content-type')).toBe('application/problem+json');
});

test('a path without that method says which it has', async () => {
  const answers = [
    await api.delete('/v1/accounts', outside),
    await api.put('/v1/accounts/a', {}, outside),
    await api.get('/v1/transactions/bulk', outside),
    await api.post('/livez', {}, outside),
    await api.post('/docs/', {}, outside),
  ];
  expect(answers.map((answer) => [refusal(answer), answer.headers.get('allow')])).toEqual([
    ['405 method_not_allowed', 'POST, GET, HEAD, OPTIONS'],
    ['405 method_not_allowed', 'GET, HEAD, PATCH, OPTIONS'],
    ['405 method_not_allowed', 'POST, OPTIONS'],
    ['405 method_not_allowed', 'GET, HEAD, OPTIONS'],
    ['405 method_not_allowed', 'GET, HEAD, OPTIONS'],
  ]);
});

test('OPTIONS names the methods and asks for no key', async () => {
  const answer = await fetch(`${server.url}/v1/accounts`, { method: 'OPTIONS' });
  expect([answer.status, answer.headers.get('allow'), answer.headers.get('content-type')]).toEqual([
    204,
    'POST, GET, HEAD, OPTIONS',
    null,
  ]);
});

test('HEAD answers as GET does, without the body', async () => {
  await anAccount(api, { code: 'head:1' });
  const ask = (method: string, path: string, key: string | null = api.api_key) =>
    fetch(server.url + path, { method, headers: key === null ? {} : { Authorization: `Bearer ${key}` } });
  const got = await ask('GET', '/v1/accounts/head:1');
  const head = await ask('HEAD', '/v1/accounts/head:1');
  expect([head.status, await head.text()]).toEqual([200, '']);
  expect(head.headers.get('content-length')).toBe(String((await got.text()).length));
  for (const name of ['content-type', 'etag'])
    expect(head.headers.get(name), name).toBe(got.headers.get(name));
  expect((await ask('HEAD', '/v1/accounts/none')).status).toBe(404);
  expect((await ask('HEAD', '/v1/accounts', null)).status).toBe(401);
});

test.each([
  ['none', {}],
  ['of another scheme', { Authorization: 'Basic bGs6bGs=' }],
  ['empty', { Authorization: 'Bearer ' }],
  ['not of ours', { Authorization: 'Bearer sk_live_abc' }],
  [
    'unknown',
    { Authorization: `Bearer lk_live_${newUuid().replaceAll('-', '').slice(0, 26)}_${'0'.repeat(52)}` },
  ],
  ['beyond ASCII', { Authorization: 'Bearer l\u00e9' }],
])('a request whose key is %s is refused before anything else is looked at', async (_, headers) => {
  const answer = await server.client(null).post('/v1/accounts', undefined, { raw: '{"', key: null, headers });
  expect(refusal(answer)).toBe('401 unauthenticated');
  expect(answer.headers.get('www-authenticate')).toBe('Bearer');
});

test('a key in the query opens nothing', async () => {
  const stranger = server.client(null);
  expect((await stranger.get(`/v1/accounts?api_key=${api.api_key}`)).status).toBe(401);
  expect((await stranger.get(`/v1/accounts?access_token=${api.api_key}`)).status).toBe(401);
});

test('an id with another prefix is refused, and the expected one named', async () => {
  const key_id = encodeId('key', newUuid());
  const answers = [
    await api.get(`/v1/transactions/${key_id}`),
    await api.get('/v1/transactions/txn_short'),
    await api.get(`/v1/transactions/${encodeId('transaction', newUuid()).toUpperCase()}`),
    await api.get(`/v1/transactions/${encodeId('transaction', newUuid()).slice(0, -1)}u`),
    await platform.get(`/v1/tenants/${key_id}`),
    await api.get(`/v1/keys/${encodeId('account', newUuid())}`),
  ];
  const seen = answers.map((answer) => {
    const { errors = [] } = ProblemSchema.parse(answer.body);
    return `${answer.status} ${errors.map((error) => `${error.pointer} ${error.code} ${error.detail}`)}`;
  });
  expect(seen).toEqual([
    '400 #/path/transaction id_invalid expected an id of the form txn_…',
    '400 #/path/transaction id_invalid expected an id of the form txn_…',
    '400 #/path/transaction id_invalid expected an id of the form txn_…',
    '400 #/path/transaction id_invalid expected an id of the form txn_…',
    '400 #/path/tenant id_invalid expected an id of the form ten_…',
    '400 #/path/key id_invalid expected an id of the form key_…',
  ]);
});

test('a thing of another tenant is answered as one that does not exist, byte for byte', async () => {
  const stranger = server.client((await aTenant()).api_key);
  for (const code of ['wall:a', 'wall:b']) await anAccount(stranger, { code });
  const hidden = await aTransaction(stranger, { debit: 'wall:a', credit: 'wall:b' });
  const missing = encodeId('transaction', newUuid());
  const withoutNames = (text: string) =>
    text
      .replaceAll(hidden.id, 'ID')
      .replaceAll(missing, 'ID')
      .replace(/"request_id":"[^"]+"/, '');
  const reads = [
    await api.get(`/v1/transactions/${hidden.id}`),
    await api.get(`/v1/transactions/${missing}`),
  ];
  expect(reads.map((answer) => answer.status)).toEqual([404, 404]);
  expect(withoutNames(reads[0]?.text ?? 'a')).toBe(withoutNames(reads[1]?.text ?? 'b'));
  const voids = [
    await api.post(`/v1/transactions/${hidden.id}/void`, {}),
    await api.post(`/v1/transactions/${missing}/void`, {}),
  ];
  expect(voids.map((answer) => answer.status)).toEqual([404, 404]);
  expect(withoutNames(voids[0]?.text ?? 'a')).toBe(withoutNames(voids[1]?.text ?? 'b'));
});

test.each([
  ['?limit=0', '#/query/limit too_small'],
  ['?limit=201', '#/query/limit too_big'],
  ['?limit=ten', '#/query/limit invalid_format'],
  ['?limit=1&limit=2', '#/query/limit repeated_field'],
  ['?limit=%00', '#/query/limit nul_character'],
  ['?limit=%zz', '#/query/limit invalid_encoding'],
  ['?code_prefix=%ed%a0%80', '#/query/code_prefix invalid_encoding'],
  ['?colour=red', '#/query/colour unknown_field'],
  ['?limit[gte]=1', '#/query/limit invalid_type'],
  ['?metadata[a]=1&metadata[a]=2', '#/query/metadata repeated_field'],
  ['?metadata[__proto__]=1', '#/query/metadata unknown_field'],
  ['?metadata[a=1', '#/query unknown_field'],
  ['?metadata[]=1', '#/query unknown_field'],
  ['?created_at[gte][lte]=1', '#/query/created_at unknown_field'],
  ['?__proto__=1', '#/query unknown_field'],
  ['?LIMIT=1', '#/query unknown_field'],
])('the query %s is refused with a pointer', async (query, wanted) => {
  expect(refusal(await api.get(`/v1/accounts${query}`))).toBe(`400 invalid_request ${wanted}`);
});

test('of a query with thousands of faults a hundred are named', async () => {
  const answer = await api.get(`/v1/accounts?${'A&'.repeat(5_000)}`);
  expect([answer.status, ProblemSchema.parse(answer.body).errors?.length]).toEqual([400, 100]);
});

test('a route that takes no query refuses one', async () => {
  expect(refusal(await api.get('/v1/accounts/none?verbose=1'))).toBe(
    '400 invalid_request #/query/verbose unknown_field',
  );
});

test('NUL and half-encoded text in a path are the client’s mistake', async () => {
  expect(refusal(await api.get('/v1/accounts/a%00b'))).toBe(
    '400 invalid_request #/path/account nul_character',
  );
  const answer = await api.get('/v1/accounts/a%ffb');
  expect([400, 404]).toContain(answer.status);
});

test('wrong fields of path, query and body are named together', async () => {
  const answer = await api.post(
    '/v1/transactions?dry_run=perhaps',
    { entries: 'none' },
    { key: randomUUID() },
  );
  expect(refusal(answer)).toBe('400 invalid_request #/query/dry_run invalid_value, #/entries invalid_type');
});
