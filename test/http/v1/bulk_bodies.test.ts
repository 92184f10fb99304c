// The body of POST /v1/transactions/bulk: in lines, with items that cannot be parsed, and not as documented.
import { beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { anAccount, aTenant } from '../../support/factories.ts';
import { startServer, type TestServer } from '../../support/server.ts';
import { refusal } from '../problems.ts';

const path = '/v1/transactions/bulk';
const ndjson = { 'Content-Type': 'application/x-ndjson' };
const ResultsSchema = z.object({
  results: z.array(z.object({ status: z.number(), problem: z.unknown().optional() })),
});

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});

async function books() {
  const api = server.client((await aTenant()).api_key);
  await anAccount(api, { code: 'cash', type: 'asset' });
  await anAccount(api, { code: 'alice' });
  const send = (raw: string | Uint8Array<ArrayBuffer>, query = '', headers: Record<string, string> = {}) =>
    api.post(`${path}${query}`, undefined, { raw, headers });
  const posted = async () =>
    (await api.get('/v1/accounts/alice/balance')).as(
      z.looseObject({ posted: z.looseObject({ balance: z.string() }) }),
    ).posted.balance;
  return { api, send, posted };
}

const item = (more = '') =>
  `{"entries": [{"account": "cash", "direction": "debit", "amount": "1"}, {"account": "alice", "direction": "credit", "amount": "1"}]${more}}`;
const deep = `${'['.repeat(40)}${']'.repeat(40)}`;

const faults = [
  ['NUL', ', "description": "a\\u0000b"', 'invalid_request', '#/description nul_character'],
  ['a lone surrogate', ', "metadata": {"k": "\\ud83d"}', 'invalid_request', '#/metadata/k lone_surrogate'],
  [
    'a repeated field',
    ', "reference": "a", "reference": "b"',
    'invalid_request',
    '#/reference repeated_field',
  ],
  ['__proto__', ', "__proto__": {}', 'invalid_request', '#/__proto__ unknown_field'],
  ['too deep nesting', `, "metadata": ${deep}`, 'invalid_request', '# too_deep'],
] as const;

/** Status or problem of each result. */
const outcomes = (answer: { as: <Schema extends z.ZodType>(schema: Schema) => z.infer<Schema> }) =>
  answer
    .as(ResultsSchema)
    .results.map(({ status, problem }) => (problem === undefined ? status : refusal({ body: problem })));

test('lines of NDJSON are items', async () => {
  const { send, posted } = await books();
  const lines = `${item()}\n${item().replace('alice', 'bob')}`;
  expect((await send(lines, '', ndjson)).body).toMatchObject({ code: 'account_not_found', index: 1 });
  expect(outcomes(await send(lines, '?atomic=false', ndjson))).toEqual([
    201,
    '422 account_not_found #/entries/1/account account_not_found',
  ]);
  expect(await posted()).toBe('1');
});

describe.each(faults)('an item with %s', (_, fault, code, where) => {
  const items = [item(), item(fault), item(', "description": "\\u00e9 ],{ \\""')];

  test('is refused by itself where each item is on its own', async () => {
    const { send, posted } = await books();
    const expected = [201, `400 ${code} ${where}`, 201];
    const body = `{"transactions": [${items.join(' , ')}], "atomic": false}`;
    expect(outcomes(await send(body))).toEqual(expected);
    expect(outcomes(await send(items.join('\n'), '?atomic=false', ndjson))).toEqual(expected);
    expect(outcomes(await send(body, '?dry_run=true'))).toEqual(expected);
    expect(await posted()).toBe('4');
  });

  test('refuses a group, which then says which item it is', async () => {
    const { send, posted } = await books();
    const [pointer, fault_code] = where.split(' ');
    const expected = {
      status: 400,
      code,
      index: 1,
      errors: [{ pointer: pointer?.replace('#', '#/transactions/1'), code: fault_code }],
    };
    expect((await send(`{"atomic": true, "transactions": [${items}]}`)).body).toMatchObject(expected);
    expect((await send(items.join('\n'), '', ndjson)).body).toMatchObject(expected);
    expect(await posted()).toBe('0');
  });
});

test.each([
  ['cut short', item().slice(0, 30)],
  ['two values', `${item()}${item()}`],
  ['a word', 'nonsense'],
])('a line of NDJSON that is %s hurts no other', async (_, line) => {
  const { send, posted } = await books();
  const lines = [item(), '', line, item()].join('\r\n');
  expect(outcomes(await send(lines, '?atomic=false', ndjson))).toEqual([
    201,
    '400 malformed_json # malformed_json',
    201,
  ]);
  expect((await send(lines, '', ndjson)).body).toMatchObject({
    code: 'malformed_json',
    index: 1,
    errors: [{ pointer: '#/transactions/1', code: 'malformed_json' }],
  });
  expect(await posted()).toBe('2');
});

test('nor does one that is not UTF-8', async () => {
  const { send, posted } = await books();
  const latin1 = Buffer.from(`${item()}\n${item(', "description": "caf\xe9"')}\n`, 'latin1');
  const bytes = new Uint8Array([...latin1, ...Buffer.from(item(', "description": "café"'))]);
  expect(outcomes(await send(bytes, '?atomic=false', ndjson))).toEqual([
    201,
    '400 malformed_json # malformed_json',
    201,
  ]);
  expect(await posted()).toBe('2');
});

test('a broken item is answered the same when its request comes again', async () => {
  const { api, posted } = await books();
  const raw = `{"atomic": false, "transactions": [${item()}, ${item(', "a": "\\u0000"')}]}`;
  const first = await api.post(path, undefined, { raw, key: 'broken' });
  const again = await api.post(path, undefined, { raw, key: 'broken' });
  expect(again.text).toBe(first.text);
  expect(again.headers.get('idempotent-replayed')).toBe('true');
  expect(await posted()).toBe('1');
});

test.each([
  ['no JSON behind a broken item', `{"atomic": false, "transactions": [${item(', "a": "\\u0000"')}], }`],
  ['no JSON behind too deep an item', `{"atomic": false, "transactions": [${deep}], }`],
])('a body with %s is refused as a whole', async (_, raw) => {
  const { send } = await books();
  expect(refusal(await send(raw))).toBe('400 malformed_json # malformed_json');
});

test.each([
  ['a field', `{"atomic": false, "x": "\\u0000", "transactions": [${item()}]}`, '#/x nul_character'],
  [
    'its list twice',
    `{"transactions": [${item(', "a": "\\u0000"')}], "transactions": []}`,
    '#/transactions repeated_field',
  ],
  ['a deep list', deep, '# too_deep'],
  ['a list by another name', `{"items": ["\\u0000"]}`, '#/items/0 nul_character'],
])('what is wrong outside of the items refuses all of them: %s', async (_, raw, where) => {
  const { send, posted } = await books();
  expect(refusal(await send(raw))).toBe(`400 invalid_request ${where}`);
  expect(await posted()).toBe('0');
});

test('more items than are taken are refused for that, however broken they are', async () => {
  const { send } = await books();
  const broken = Array.from({ length: 10_001 }, () => '"\\u0000"');
  const expected = '413 bulk_too_large #/transactions bulk_too_large';
  expect(refusal(await send(`{"transactions": [${broken}]}`))).toBe(expected);
  expect(refusal(await send(broken.join('\n'), '', ndjson))).toBe(expected);
});

test('a bare list is no JSON body, and a list without items is none in either form', async () => {
  const { send } = await books();
  expect(refusal(await send(`[${item()}]`))).toBe('400 invalid_request # invalid_type');
  expect(refusal(await send(`["\\u0000"]`))).toBe('400 invalid_request #/0 nul_character');
  for (const [raw, headers] of [
    ['{"transactions": []}', {}] as const,
    ...['', '\n', ' \r\n'].map((lines) => [lines, ndjson] as const),
  ]) {
    const refused = await send(raw, '', headers);
    expect(refusal(refused)).toBe('400 invalid_request #/transactions too_small');
    expect(refused.body).toMatchObject({ detail: '#/transactions: a bulk request has at least one item' });
  }
});

test('whether items belong together is said once: of JSON in the body, of NDJSON in the query', async () => {
  const { send, posted } = await books();
  expect(refusal(await send(`{"transactions": [${item()}]}`, '?atomic=false'))).toBe(
    '400 invalid_request #/query/atomic unknown_field',
  );
  expect((await send(item(), '?atomic=true', ndjson)).status).toBe(201);
  expect(await posted()).toBe('1');
});

test.each([
  ['JSON', {}],
  ['lines', ndjson],
])('more objects and arrays than any documented body has are refused for that: %s', async (_, headers) => {
  const { send } = await books();
  const one = `{"entries": [${Array.from({ length: 1_000 }, () => '{}').join(',')}]}`;
  const items = Array.from({ length: 1_000 }, () => one);
  const raw =
    headers === ndjson ? items.join('\n') : `{"atomic": false, "transactions": [${items.join(',')}]}`;
  expect(refusal(await send(raw, '', headers))).toBe('413 body_too_large # body_too_large');
});
