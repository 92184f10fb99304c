// A bulk request that comes again: whoever sends it and whatever went wrong before, its items are answered as they were.
import { beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { RoleName } from '../../../src/modules/access/index.ts';
import type { Client } from '../../support/client.ts';
import { aKey, anAccount, aTenant, aTransaction } from '../../support/factories.ts';
import { startServer, type TestServer } from '../../support/server.ts';
import { refusal } from '../problems.ts';

const path = '/v1/transactions/bulk';
const ResultsSchema = z.object({
  results: z.array(
    z.looseObject({ status: z.number(), problem: z.looseObject({ code: z.string() }).optional() }),
  ),
});

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});

async function books() {
  const tenant = await aTenant();
  const owner = server.client(tenant.api_key);
  await anAccount(owner, { code: 'cash', type: 'asset' });
  await anAccount(owner, { code: 'alice' });
  const as = async (role: RoleName) => server.client((await aKey(tenant.id, role)).api_key);
  return { owner, as };
}

const item = (amount = '1') =>
  `{"entries": [{"account": "cash", "direction": "debit", "amount": "${amount}"}, {"account": "alice", "direction": "credit", "amount": "${amount}"}]}`;
const statuses = (answer: { as: (schema: typeof ResultsSchema) => z.infer<typeof ResultsSchema> }) =>
  answer.as(ResultsSchema).results.map(({ status }) => status);
const balance = async (api: Client) =>
  (await api.get('/v1/accounts/alice/balance')).as(
    z.looseObject({ posted: z.looseObject({ balance: z.string() }) }),
  ).posted.balance;

describe('by a key that may do less or more', () => {
  test('what the first key may not do stays refused, as one item of others', async () => {
    const { owner, as } = await books();
    const writer = await as('integrator_write');
    const sale = await aTransaction(owner, { debit: 'cash', credit: 'alice', amount: '10' });
    const raw = `{"atomic": false, "transactions": [{"reversal_of": "${sale.id}", "force": true}, ${item()}]}`;
    const first = await writer.post(path, undefined, { raw, key: 'a' });
    expect(statuses(first)).toEqual([403, 201]);
    for (const api of [writer, owner]) {
      const again = await api.post(path, undefined, { raw, key: 'a' });
      expect([again.status, again.text]).toEqual([200, first.text]);
      expect(again.headers.get('idempotent-replayed')).toBe('true');
    }
    expect(await balance(owner)).toBe('11');
    // The item's own key was not used up by it.
    expect(statuses(await owner.post(path, undefined, { raw, key: 'b' }))).toEqual([201, 201]);
  });

  test.each([
    ['on their own', 200, '"atomic": false'],
    ['all or nothing', 201, '"atomic": true'],
  ])('what the first key might do is answered to any other: %s', async (_, status, atomic) => {
    const { owner, as } = await books();
    const sale = await aTransaction(owner, { debit: 'cash', credit: 'alice', amount: '10' });
    const raw = `{${atomic}, "transactions": [{"reversal_of": "${sale.id}", "force": true}, ${item()}]}`;
    const first = await owner.post(path, undefined, { raw, key: 'a' });
    expect([first.status, statuses(first)]).toEqual([status, [201, 201]]);
    const again = await (await as('integrator_write')).post(path, undefined, { raw, key: 'a' });
    expect([again.status, again.text]).toEqual([status, first.text]);
    expect(await balance(owner)).toBe('1');
  });
});

test.each([
  [
    'JSON as lines',
    `{"atomic": false, "transactions": [${item()}]}`,
    'application/json',
    'application/x-ndjson',
  ],
  ['a group as lines', `{"transactions": [${item()}]}`, 'application/json', 'application/x-ndjson'],
  ['JSON as text', `{"atomic": false, "transactions": [${item()}]}`, 'application/json', 'text/plain'],
  ['a line as JSON', item(), 'application/x-ndjson', 'application/json'],
  ['lines as JSON', `${item()}\n${item()}`, 'application/x-ndjson', 'application/json'],
])('the same bytes as another media type are another request: %s', async (_, raw, first_type, then) => {
  const { owner } = await books();
  const send = (type: string) =>
    owner.post(path, undefined, { raw, key: 'a', headers: { 'Content-Type': type } });
  const first = await send(first_type);
  expect(first.status).toBeLessThan(300);
  expect(refusal(await send(then))).toMatch(/^422 idempotency_key_reused/);
  expect((await send(first_type)).text).toBe(first.text);
  expect(await balance(owner)).toBe(raw.includes('\n') ? '2' : '1');
});

describe('what is wrong with an item', () => {
  test('is said in the words of a single request, with pointers of RFC 6901', async () => {
    const { owner } = await books();
    const wrong = `{"entries": [{"account": "cash", "amount": "1"}], "metadata": {"a/b~c": 1}, "z/z": 1}`;
    const single = await owner.post('/v1/transactions', undefined, { raw: wrong });
    const bulk = await owner.post(path, undefined, {
      raw: `{"atomic": false, "transactions": [${wrong}]}`,
    });
    const ErrorsSchema = z.looseObject({ errors: z.array(z.unknown()) });
    const [result] = bulk.as(ResultsSchema).results;
    expect(ErrorsSchema.parse(result?.problem).errors).toEqual(ErrorsSchema.parse(single.body).errors);
    expect(single.text).toContain('#/metadata/a~1b~0c');
  });

  test('is cut to what a person reads, however much it is', async () => {
    const { owner } = await books();
    const hopeless = `{"entries": [${Array.from({ length: 1_000 }, () => '{}').join(',')}]}`;
    const surrogates = `{"metadata": {${Array.from({ length: 1_000 }, (_, at) => `"k${at}": "\\ud800"`).join(',')}}}`;
    const raw = `{"atomic": false, "transactions": [${[hopeless, surrogates, item()].join(',')}]}`;
    const answer = await owner.post(path, undefined, { raw });
    const [first, second, third] = answer.as(ResultsSchema).results;
    expect([first?.problem?.errors, second?.problem?.errors]).toMatchObject([{ length: 10 }, { length: 10 }]);
    expect(third?.status).toBe(201);
    const single = await owner.post('/v1/transactions', undefined, { raw: surrogates });
    expect(single.body).toMatchObject({ code: 'invalid_request', errors: { length: 100 } });
  });
});
