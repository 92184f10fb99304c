// POST and GET /v1/transactions: what is posted moves money, what is refused moves nothing.
import { beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { Client } from '../../support/client.ts';
import { anAccount, aTenant, aTransaction } from '../../support/factories.ts';
import { startServer, type TestServer } from '../../support/server.ts';

const IdSchema = z.looseObject({ id: z.string() });
const PageSchema = z.object({
  data: z.array(IdSchema),
  has_more: z.boolean(),
  next_cursor: z.string().nullable(),
});

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});

/** A tenant with two open accounts of its own. */
async function books(): Promise<{ api: Client; cash: string; alice: string }> {
  const api = server.client((await aTenant()).api_key);
  const cash = await anAccount(api, { code: 'assets:cash', type: 'asset' });
  const alice = await anAccount(api, {
    code: 'customers:alice',
    limits: { available_min: '0', posted_max: '100000' },
  });
  return { api, cash: cash.code, alice: alice.code };
}

const move = (debit: string, credit: string, amount: string) => ({
  entries: [
    { account: debit, direction: 'debit', amount },
    { account: credit, direction: 'credit', amount },
  ],
});

describe('posting', () => {
  test('a transaction is answered whole, and read back the same', async () => {
    const { api, cash, alice } = await books();
    const request = {
      ...move(cash, alice, '10000'),
      effective_at: '2026-11-19T09:00:00.120Z',
      description: 'capture',
      reference: 'ch_123',
      metadata: { order: 'o_1' },
    };
    const posted = await api.post('/v1/transactions', request);
    expect(posted.status).toBe(201);
    expect(posted.body).toMatchObject({
      status: 'posted',
      effective_at: '2026-11-19T09:00:00.12Z',
      entries: [
        { account_code: 'assets:cash', direction: 'debit', amount: '10000', currency: 'EUR', scale: 2 },
        { account_code: 'customers:alice', direction: 'credit', amount: '10000', currency: 'EUR', scale: 2 },
      ],
      reversed_by: [],
      expires_at: null,
      description: 'capture',
      reference: 'ch_123',
      metadata: { order: 'o_1' },
    });
    const read = await api.get(`/v1/transactions/${posted.as(IdSchema).id}`);
    expect(read.body).toEqual(posted.body);
  });

  test.each([
    ['account_not_found', { entries: move('assets:cash', 'nobody', '1').entries }, '#/entries/1/account'],
    [
      'currency_mismatch',
      {
        entries: [
          { account: 'assets:cash', direction: 'debit', amount: '1', currency: 'USD' },
          ...move('assets:cash', 'customers:alice', '1').entries,
        ],
      },
      '#/entries/0/currency',
    ],
    [
      'entries_unbalanced',
      {
        entries: [
          ...move('assets:cash', 'customers:alice', '1').entries,
          ...move('assets:cash', 'customers:alice', '1').entries.slice(1),
        ],
      },
      '#/entries',
    ],
    ['accounts_must_differ', move('assets:cash', 'assets:cash', '5'), '#/entries'],
    ['limit_exceeded', move('assets:cash', 'customers:alice', '100001'), '#/entries/1/account'],
    ['insufficient_funds', move('customers:alice', 'assets:cash', '1'), '#/entries/0/account'],
    [
      'expiry_in_past',
      {
        ...move('assets:cash', 'customers:alice', '1'),
        status: 'pending',
        expires_at: '2020-01-01T00:00:00Z',
      },
      '#/expires_at',
    ],
  ])('%s is refused with a pointer, and nothing is written', async (code, request, pointer) => {
    const { api } = await books();
    const before = await api.get('/v1/events?limit=200');
    const refused = await api.post('/v1/transactions', request);
    expect(refused.status).toBe(422);
    expect(refused.body).toMatchObject({ code, errors: [{ pointer }] });
    expect((await api.get('/v1/events?limit=200')).body).toEqual(before.body);
  });

  test('a refusal of a limit names account, what there is and what it would take', async () => {
    const { api, cash, alice } = await books();
    await aTransaction(api, { debit: cash, credit: alice, amount: '70' });
    const refused = await api.post('/v1/transactions', move(alice, cash, '71'));
    expect(refused.body).toMatchObject({
      code: 'insufficient_funds',
      account: alice,
      available: '70',
      required: '71',
    });
  });

  test('a reference is taken once, and its holder is named', async () => {
    const { api, cash, alice } = await books();
    const first = await aTransaction(api, { debit: cash, credit: alice, reference: 'r1' });
    const second = await api.post('/v1/transactions', { ...move(cash, alice, '1'), reference: 'r1' });
    expect(second.status).toBe(409);
    expect(second.body).toMatchObject({ code: 'reference_taken', transaction_id: first.id });
  });

  test('38 digits are exact', async () => {
    const { api, cash } = await books();
    const other = await anAccount(api, { type: 'equity' });
    const amount = '9'.repeat(38);
    await aTransaction(api, { debit: cash, credit: other.code, amount });
    const balance = await api.get(`/v1/accounts/${other.id}/balance`);
    expect(balance.body).toMatchObject({ posted: { debits: '0', credits: amount, balance: amount } });
  });

  test('a dry run evaluates everything and writes nothing', async () => {
    const { api, cash, alice } = await books();
    const dry = await api.post('/v1/transactions?dry_run=true', {
      ...move(cash, alice, '10'),
      reference: 'dry',
    });
    expect(dry.status).toBe(200);
    expect(dry.body).toMatchObject({ position: 0, status: 'posted', reference: 'dry' });
    expect((await api.get(`/v1/transactions/${dry.as(IdSchema).id}`)).status).toBe(404);
    const refused = await api.post('/v1/transactions?dry_run=true', move(alice, cash, '10'));
    expect(refused.body).toMatchObject({ code: 'insufficient_funds' });
    expect(
      (await api.post('/v1/transactions', { ...move(cash, alice, '10'), reference: 'dry' })).status,
    ).toBe(201);
  });
});

describe('keys', () => {
  test('the same request again is answered with the same bytes', async () => {
    const { api, cash, alice } = await books();
    const key = 'key-1';
    const first = await api.post('/v1/transactions', move(cash, alice, '10'), { key });
    const again = await api.post('/v1/transactions', move(cash, alice, '10'), { key });
    expect(again.status).toBe(201);
    expect(again.text).toBe(first.text);
    expect(first.headers.get('idempotent-replayed')).toBeNull();
    expect(again.headers.get('idempotent-replayed')).toBe('true');
  });

  test('a refusal is sticky: it stays when the reason is gone', async () => {
    const { api, cash, alice } = await books();
    const key = { key: 'sticky' };
    const refused = await api.post('/v1/transactions', move(alice, cash, '10'), key);
    await aTransaction(api, { debit: cash, credit: alice, amount: '100' });
    const again = await api.post('/v1/transactions', move(alice, cash, '10'), key);
    expect(again.status).toBe(422);
    expect(again.text).toBe(refused.text);
    expect((await api.post('/v1/transactions', move(alice, cash, '10'))).status).toBe(201);
  });

  test('another body, path or method under the key is refused', async () => {
    const { api, cash, alice } = await books();
    const key = { key: 'reused' };
    const posted = await api.post('/v1/transactions', move(cash, alice, '10'), key);
    for (const [path, body] of [
      ['/v1/transactions', move(cash, alice, '11')],
      ['/v1/transactions', { nonsense: true }],
      [`/v1/transactions/${posted.as(IdSchema).id}/reversal`, {}],
      ['/v1/accounts', { code: 'x', type: 'asset', currency: 'EUR' }],
    ] as const) {
      const reused = await api.post(path, body, key);
      expect(reused.status).toBe(422);
      expect(reused.body).toMatchObject({ code: 'idempotency_key_reused' });
    }
  });
});

describe('reading', () => {
  test('filters select, newest first, and pages join without gap or repetition', async () => {
    const { api, cash, alice } = await books();
    const bob = (await anAccount(api, { code: 'customers:bob' })).code;
    const ids: string[] = [];
    for (const [index, customer] of [alice, bob, alice, bob, alice].entries()) {
      const posted = await aTransaction(api, {
        debit: cash,
        credit: customer,
        amount: `${index + 1}`,
        reference: `r${index}`,
        metadata: { order: `o_${index % 2}`, channel: 'web' },
        effective_at: `2026-01-0${index + 1}T00:00:00Z`,
      });
      ids.push(posted.id);
    }
    const list = async (query: string) => {
      const answer = await api.get(`/v1/transactions?${query}`);
      expect(answer.status).toBe(200);
      return answer.as(PageSchema).data.map((each) => ids.indexOf(each.id));
    };
    expect(await list('')).toEqual([4, 3, 2, 1, 0]);
    expect(await list(`account=${alice}`)).toEqual([4, 2, 0]);
    expect((await api.get('/v1/transactions?account=nobody')).body).toMatchObject({ code: 'not_found' });
    expect(await list('account_prefix=customers:b')).toEqual([3, 1]);
    expect(await list('reference=r3')).toEqual([3]);
    expect(await list('metadata[order]=o_1')).toEqual([3, 1]);
    expect(await list('metadata[order]=o_1&metadata[channel]=web')).toEqual([3, 1]);
    expect(await list('metadata[order]=o_1&metadata[channel]=shop')).toEqual([]);
    expect(
      await list('effective_at[gte]=2026-01-02T00:00:00Z&effective_at[lte]=2026-01-03T00:00:00Z'),
    ).toEqual([2, 1]);
    expect(await list('amount[gte]=4')).toEqual([4, 3]);
    expect(await list('status=posted&limit=1')).toEqual([4]);
    expect(await list('status=pending')).toEqual([]);

    const first = await api.get('/v1/transactions?limit=2');
    expect(first.body).toMatchObject({ has_more: true });
    const second = await api.get(`/v1/transactions?limit=2&cursor=${first.as(PageSchema).next_cursor}`);
    expect(second.as(PageSchema).data.map((each) => ids.indexOf(each.id))).toEqual([2, 1]);
    const mismatch = await api.get(
      `/v1/transactions?account=${alice}&cursor=${first.as(PageSchema).next_cursor}`,
    );
    expect(mismatch.body).toMatchObject({ code: 'cursor_mismatch' });
  });

  test('a key of metadata is found by whatever it is called', async () => {
    const { api, cash, alice } = await books();
    const keys = ['a[b]', 'a][b', ']', '[', 'a[b', 'a]', 'a.b', 'a=b&c', 'a b'];
    for (const key of keys)
      await aTransaction(api, { debit: cash, credit: alice, metadata: { [key]: 'here' } });
    for (const key of keys) {
      for (const name of [`metadata[${encodeURIComponent(key)}]`, encodeURIComponent(`metadata[${key}]`)]) {
        const found = (await api.get(`/v1/transactions?${name}=here`)).as(PageSchema);
        expect([key, found.data.map(({ metadata }) => metadata)]).toEqual([key, [{ [key]: 'here' }]]);
      }
    }
    const raw = (await api.get('/v1/transactions?metadata[a[b]]=here')).as(PageSchema);
    expect(raw.data.map(({ metadata }) => metadata)).toEqual([{ 'a[b]': 'here' }]);
  });
});
