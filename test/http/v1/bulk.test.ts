// POST /v1/transactions/bulk: items in order, all or nothing or each on its own; the same request again is answered with the same bytes.
import { beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { Client } from '../../support/client.ts';
import { anAccount, aTenant, aTransaction } from '../../support/factories.ts';
import { startServer, type TestServer } from '../../support/server.ts';

const ResultsSchema = z.object({
  results: z.array(
    z.object({
      status: z.number(),
      transaction: z.looseObject({ id: z.string(), position: z.number() }).optional(),
      problem: z.looseObject({ code: z.string() }).optional(),
    }),
  ),
});

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});

async function books() {
  const api = server.client((await aTenant()).api_key);
  await anAccount(api, { code: 'cash', type: 'asset' });
  await anAccount(api, { code: 'alice', limits: { available_min: '0' } });
  return api;
}

const move = (debit: string, credit: string, amount: string) => ({
  entries: [
    { account: debit, direction: 'debit', amount },
    { account: credit, direction: 'credit', amount },
  ],
});
const path = '/v1/transactions/bulk';
const outcomes = (text: z.infer<typeof ResultsSchema>) =>
  text.results.map((each) => each.problem?.code ?? each.status);
const posted = async (api: Client) =>
  (await api.get('/v1/accounts/alice/balance')).as(
    z.looseObject({ posted: z.looseObject({ balance: z.string() }) }),
  ).posted.balance;

describe('atomic', () => {
  test('posts all items at dense positions, each seeing the ones before it', async () => {
    const api = await books();
    const answer = await api.post(path, {
      atomic: true,
      transactions: [move('cash', 'alice', '10'), move('alice', 'cash', '10'), move('cash', 'alice', '7')],
    });
    expect(answer.status).toBe(201);
    const positions = answer.as(ResultsSchema).results.map((each) => each.transaction?.position ?? 0);
    expect(positions).toEqual([0, 1, 2].map((offset) => (positions[0] ?? 0) + offset));
    expect(await posted(api)).toBe('7');
  });

  test('posts nothing when one fails, and answers the culprit with its index, for ever', async () => {
    const api = await books();
    const body = { atomic: true, transactions: [move('cash', 'alice', '10'), move('alice', 'cash', '11')] };
    const refused = await api.post(path, body, { key: 'bulk' });
    expect(refused.status).toBe(422);
    expect(refused.body).toMatchObject({
      code: 'insufficient_funds',
      index: 1,
      errors: [{ pointer: '#/transactions/1/entries/0/account' }],
    });
    expect(await posted(api)).toBe('0');
    await aTransaction(api, { debit: 'cash', credit: 'alice', amount: '100' });
    const again = await api.post(path, body, { key: 'bulk' });
    expect(again.text).toBe(refused.text);
    expect(again.headers.get('idempotent-replayed')).toBe('true');
  });

  test('an item of the wrong shape is a 400 that points at it', async () => {
    const api = await books();
    const refused = await api.post(path, {
      atomic: true,
      transactions: [move('cash', 'alice', '10'), move('cash', 'alice', '-1')],
    });
    expect(refused.status).toBe(400);
    expect(refused.body).toMatchObject({
      code: 'invalid_request',
      index: 1,
      errors: [{ pointer: '#/transactions/1/entries/0/amount' }, {}],
    });
  });

  test('follow-ups of one hold in one request see each other', async () => {
    const api = await books();
    await aTransaction(api, { debit: 'cash', credit: 'alice', amount: '100' });
    const hold = (
      await api.post('/v1/transactions', { ...move('alice', 'cash', '60'), status: 'pending' })
    ).as(z.looseObject({ id: z.string() }));
    const captures = ['20', '30', '11'].map((amount) => ({ capture_of: hold.id, amount }));
    const refused = await api.post(path, { atomic: true, transactions: captures });
    expect(refused.body).toMatchObject({ code: 'capture_exceeds_hold', index: 2, remaining: '10' });
    const taken = await api.post(path, {
      atomic: true,
      transactions: [...captures.slice(0, 2), { void_of: hold.id }],
    });
    expect(outcomes(taken.as(ResultsSchema))).toEqual([201, 201, 200]);
    expect(await posted(api)).toBe('50');
  });

  test('a reference that two items have is taken by the first of them, whatever is wrong behind', async () => {
    const api = await books();
    const item = (more: object = {}) => ({ ...move('cash', 'alice', '10'), reference: 'r', ...more });
    const missing = { void_of: 'txn_01h455vb4pex5vsknk084sn02q' };
    const groups = [
      [item(), item()],
      [item(), item(), missing],
    ];
    for (const transactions of groups) {
      const refused = await api.post(path, { atomic: true, transactions });
      expect(refused.status).toBe(409);
      expect(refused.body).toMatchObject({
        code: 'reference_taken',
        index: 1,
        errors: [{ pointer: '#/transactions/1/reference' }],
      });
    }
    const dry = await api.post(`${path}?dry_run=true`, { atomic: false, transactions: [item(), item()] });
    expect(outcomes(dry.as(ResultsSchema))).toEqual([201, 'reference_taken']);
    // A reference that was refused for another reason is free for the next one.
    const spent = { ...move('alice', 'cash', '99'), reference: 'r' };
    const again = await api.post(`${path}?dry_run=true`, { atomic: false, transactions: [spent, item()] });
    expect(outcomes(again.as(ResultsSchema))).toEqual(['insufficient_funds', 201]);
    expect(await posted(api)).toBe('0');
  });

  test('an item that was answered under its own key is answered so in a group, and changes nothing again', async () => {
    const api = await books();
    await aTransaction(api, { debit: 'cash', credit: 'alice', amount: '100' });
    const hold = (
      await api.post('/v1/transactions', { ...move('alice', 'cash', '60'), status: 'pending' })
    ).as(z.looseObject({ id: z.string() }));
    const capture = (amount: string, key: string) => ({
      capture_of: hold.id,
      amount,
      idempotency_key: key,
    });
    const first = await api.post(path, { atomic: true, transactions: [capture('20', 'a')] });
    const second = await api.post(path, {
      atomic: true,
      transactions: [capture('20', 'a'), capture('40', 'b')],
    });
    expect(outcomes(second.as(ResultsSchema))).toEqual([201, 201]);
    expect(second.as(ResultsSchema).results[0]).toEqual(first.as(ResultsSchema).results[0]);
    // The hold is used up: only the key can answer.
    const third = await api.post(path, {
      atomic: true,
      transactions: [capture('40', 'b'), move('cash', 'alice', '1')],
    });
    expect(outcomes(third.as(ResultsSchema))).toEqual([201, 201]);
    expect(await posted(api)).toBe('41');
    const body = { atomic: true, transactions: [capture('41', 'b')] };
    const other = await api.post(path, body, { key: 'other' });
    expect(other.body).toMatchObject({
      status: 422,
      code: 'idempotency_key_reused',
      index: 0,
      errors: [{ pointer: '#/transactions/0/idempotency_key' }],
    });
    const again = await api.post(path, body, { key: 'other' });
    expect(again.text).toBe(other.text);
    expect(again.headers.get('idempotent-replayed')).toBe('true');
  });

  test("an item that has the request's own key is refused before anything is done", async () => {
    const api = await books();
    for (const atomic of [true, false]) {
      const transactions = [
        move('cash', 'alice', '1'),
        { ...move('cash', 'alice', '1'), idempotency_key: 'k' },
      ];
      const refused = await api.post(path, { atomic, transactions }, { key: 'k' });
      expect(refused.body).toMatchObject({
        status: 400,
        code: 'invalid_request',
        errors: [{ pointer: '#/transactions/1/idempotency_key', code: 'not_unique' }],
      });
    }
    expect(await posted(api)).toBe('0');
  });

  test('a group is judged by accounts as they are, not as this process last saw them', async () => {
    const api = await books();
    const other = await startServer();
    const both = other.client(api.api_key);
    await aTransaction(both, { debit: 'cash', credit: 'alice', amount: '1' });
    await api.post('/v1/accounts/alice/closure');
    const transactions = [move('cash', 'alice', '1')];
    expect((await both.post(path, { atomic: true, transactions })).status).toBe(422);
    await api.post('/v1/accounts/alice/reopening');
    expect((await both.post(path, { atomic: true, transactions })).status).toBe(201);
  });
});

describe('each on its own', () => {
  const body = {
    atomic: false,
    transactions: [
      move('cash', 'alice', '10'),
      move('alice', 'cash', '11'),
      { ...move('cash', 'alice', '1'), amount: 1 },
      move('cash', 'nobody', '1'),
      { void_of: 'txn_01h455vb4pex5vsknk084sn02q' },
      { capture_of: 'acc_01h455vb4pex5vsknk084sn02q' },
      move('alice', 'cash', '4'),
    ],
  };

  test('a wrong item hurts nobody else', async () => {
    const api = await books();
    const answer = await api.post(path, body);
    expect(answer.status).toBe(200);
    expect(outcomes(answer.as(ResultsSchema))).toEqual([
      201,
      'insufficient_funds',
      'invalid_request',
      'account_not_found',
      'not_found',
      'invalid_request',
      201,
    ]);
    expect(await posted(api)).toBe('6');
  });

  test('the same request again changes nothing and answers the same bytes', async () => {
    const api = await books();
    const first = await api.post(path, body, { key: 'each' });
    const again = await api.post(path, body, { key: 'each' });
    expect(again.text).toBe(first.text);
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    expect(await posted(api)).toBe('6');
    const other = await api.post(path, { ...body, atomic: true }, { key: 'each' });
    expect(other.body).toMatchObject({
      code: 'idempotency_key_reused',
      errors: [{ pointer: '#/header/Idempotency-Key' }],
    });
  });

  test("an item's own key makes it the same item in another request", async () => {
    const api = await books();
    const item = { ...move('cash', 'alice', '5'), idempotency_key: 'own' };
    const first = (await api.post(path, { atomic: false, transactions: [item] })).as(ResultsSchema);
    const second = (
      await api.post(path, { atomic: false, transactions: [move('cash', 'alice', '1'), item] })
    ).as(ResultsSchema);
    expect(second.results[1]).toEqual(first.results[0]);
    const other = await api.post(path, {
      atomic: false,
      transactions: [{ ...item, description: 'another' }],
    });
    expect(other.body).toMatchObject({
      results: [{ problem: { code: 'idempotency_key_reused', errors: [{ pointer: '#/idempotency_key' }] } }],
    });
    expect(await posted(api)).toBe('6');
  });
});

test('10,000 items are taken, 10,001 are refused', async () => {
  const api = await books();
  const transactions = Array.from({ length: 10_001 }, () => move('cash', 'alice', '1'));
  const refused = await api.post(path, { atomic: true, transactions });
  expect(refused.status).toBe(413);
  expect(refused.body).toMatchObject({ code: 'bulk_too_large', errors: [{ pointer: '#/transactions' }] });
  const taken = await api.post(path, { atomic: true, transactions: transactions.slice(1) });
  expect(taken.status).toBe(201);
  expect(await posted(api)).toBe('10000');
});

test('a dry run of a bulk request sees its items in order and writes nothing', async () => {
  const api = await books();
  const transactions = [move('cash', 'alice', '10'), move('alice', 'cash', '11')];
  const dry = await api.post(`${path}?dry_run=true`, { atomic: false, transactions });
  expect(outcomes(dry.as(ResultsSchema))).toEqual([201, 'insufficient_funds']);
  expect(await posted(api)).toBe('0');
});

test('a dry run of items that are all misshapen answers what is wrong with each', async () => {
  const api = await books();
  const transactions = [{ amount: '1' }, { capture_of: 'nothing' }];
  const dry = await api.post(`${path}?dry_run=true`, { atomic: false, transactions });
  expect(outcomes(dry.as(ResultsSchema))).toEqual(['invalid_request', 'invalid_request']);
});

describe('a dry run of items that follow up the same hold', () => {
  const held = async (api: Client) => {
    await api.post('/v1/transactions', { ...move('cash', 'alice', '1'), reference: 'taken' });
    const hold = await api.post('/v1/transactions', {
      ...move('cash', 'alice', '100'),
      status: 'pending',
    });
    return hold.as(z.looseObject({ id: z.string() })).id;
  };

  test('answers what the request itself then does, when one of them is refused', async () => {
    const api = await books();
    const capture_of = await held(api);
    const transactions = [
      { capture_of, amount: '90', final: true, reference: 'taken' },
      { capture_of, amount: '60' },
      { capture_of, reference: 'taken' },
      { capture_of, amount: '41' },
      { void_of: capture_of },
      { capture_of, amount: '1' },
    ];
    const expected = [
      'reference_taken',
      201,
      'reference_taken',
      'capture_exceeds_hold',
      200,
      'transaction_not_pending',
    ];
    const dry = await api.post(`${path}?dry_run=true`, { atomic: false, transactions });
    expect(outcomes(dry.as(ResultsSchema))).toEqual(expected);
    expect(await posted(api)).toBe('1');
    // Items of one hold go to the ledger one after the other.
    const real = [];
    for (const item of transactions) {
      const answer = await api.post(path, { atomic: false, transactions: [item] });
      real.push(...outcomes(answer.as(ResultsSchema)));
    }
    expect(real).toEqual(expected);
    expect(await posted(api)).toBe('61');
  });

  test('is refused when it would have to be judged again and again', async () => {
    const api = await books();
    const capture_of = await held(api);
    const transactions = Array.from({ length: 110 }, () => ({ capture_of, amount: '1', reference: 'taken' }));
    const dry = await api.post(`${path}?dry_run=true`, { atomic: false, transactions });
    expect(dry.body).toMatchObject({
      status: 413,
      code: 'bulk_too_large',
      errors: [{ pointer: '#/transactions' }],
    });
    const fewer = await api.post(`${path}?dry_run=true`, {
      atomic: false,
      transactions: transactions.slice(0, 10),
    });
    expect(new Set(outcomes(fewer.as(ResultsSchema)))).toEqual(new Set(['reference_taken']));
  });
});
