// Reversals: what was posted is taken back, whole or in parts, by transactions that are linked to it.
import { beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { Client } from '../../support/client.ts';
import { aKey, anAccount, aTenant, aTransaction } from '../../support/factories.ts';
import { startServer, type TestServer } from '../../support/server.ts';

const TransactionSchema = z.looseObject({ id: z.string(), status: z.string(), position: z.number() });
const BalanceSchema = z.looseObject({
  posted: z.looseObject({ balance: z.string() }),
  available: z.string(),
});

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});

/** Alice has 1,000 and may not go below zero. */
async function books() {
  const tenant = await aTenant();
  const api = server.client(tenant.api_key);
  await anAccount(api, { code: 'cash', type: 'asset' });
  await anAccount(api, { code: 'shop' });
  await anAccount(api, { code: 'alice', limits: { available_min: '0' } });
  await aTransaction(api, { debit: 'cash', credit: 'alice', amount: '1000' });
  return { api, tenant };
}

const entries = (amount: string) => [
  { account: 'alice', direction: 'debit', amount },
  { account: 'shop', direction: 'credit', amount },
];

async function balance(api: Client, account: string) {
  const { posted, available } = (await api.get(`/v1/accounts/${account}/balance`)).as(BalanceSchema);
  return { posted: posted.balance, available };
}

const read = async (api: Client, id: string) => (await api.get(`/v1/transactions/${id}`)).body;

describe('a reversal', () => {
  test('is equal and opposite, and linked both ways', async () => {
    const { api } = await books();
    const paid = (await api.post('/v1/transactions', { entries: entries('300') })).as(TransactionSchema);
    const reversal = await api.post(`/v1/transactions/${paid.id}/reversal`, { reference: 're_1' });
    expect(reversal.status).toBe(201);
    expect(reversal.body).toMatchObject({
      reverses: paid.id,
      reference: 're_1',
      entries: [
        { account_code: 'alice', direction: 'credit', amount: '300' },
        { account_code: 'shop', direction: 'debit', amount: '300' },
      ],
    });
    expect(await read(api, paid.id)).toMatchObject({ reversed_by: [reversal.as(TransactionSchema).id] });
    const again = await api.post(`/v1/transactions/${paid.id}/reversal`, {});
    expect(again.body).toMatchObject({ code: 'already_reversed', status: 409 });
  });

  test('in parts runs down what is left', async () => {
    const { api } = await books();
    const { id } = (await api.post('/v1/transactions', { entries: entries('300') })).as(TransactionSchema);
    expect((await api.post(`/v1/transactions/${id}/reversal`, { amount: '100' })).status).toBe(201);
    expect((await api.post(`/v1/transactions/${id}/reversal`, { amount: '201' })).body).toMatchObject({
      code: 'reversal_exceeds_transaction',
      remaining: '200',
    });
    expect((await api.post(`/v1/transactions/${id}/reversal`, {})).status).toBe(201);
    expect(await balance(api, 'alice')).toMatchObject({ posted: '1000' });
  });

  /** A sale of two items to Alice, with what each side of it still has to give back. */
  async function sale(api: Client) {
    await anAccount(api, { code: 'fees', type: 'revenue' });
    const sold = await api.post('/v1/transactions', {
      entries: [
        { account: 'alice', direction: 'debit', amount: '300' },
        { account: 'shop', direction: 'credit', amount: '270' },
        { account: 'fees', direction: 'credit', amount: '30' },
      ],
    });
    return `/v1/transactions/${sold.as(TransactionSchema).id}/reversal`;
  }

  const refund = (shop: string, fees: string) => [
    { account: 'alice', direction: 'credit', amount: `${BigInt(shop) + BigInt(fees)}` },
    ...(shop === '0' ? [] : [{ account: 'shop', direction: 'debit', amount: shop }]),
    ...(fees === '0' ? [] : [{ account: 'fees', direction: 'debit', amount: fees }]),
  ];

  test('of several entries takes those that are named, within what each has left', async () => {
    const { api } = await books();
    const path = await sale(api);
    const refused = async (body: unknown) => (await api.post(path, body)).body;
    expect(await refused({ amount: '301' })).toMatchObject({ code: 'reversal_exceeds_transaction' });
    expect(await refused({ amount: '100' })).toMatchObject({
      code: 'entries_required',
      errors: [{ pointer: '#/amount' }],
    });
    expect(await refused({ amount: '100', entries: refund('100', '0') })).toMatchObject({
      code: 'invalid_request',
      errors: [{ pointer: '#/entries' }],
    });
    const unknown = refund('100', '0').map((entry) => ({ ...entry, account: `${entry.account}s` }));
    expect(await refused({ entries: unknown })).toMatchObject({ code: 'account_not_found' });
    const unbalanced = refund('100', '0').map((entry, at) => ({ ...entry, amount: `${100 + at}` }));
    expect(await refused({ entries: unbalanced })).toMatchObject({ code: 'entries_unbalanced' });
    // As the reversal posts them: the sides of the sale itself have nothing to give back.
    const as_sold = [
      { account: 'alice', direction: 'debit', amount: '100' },
      { account: 'shop', direction: 'credit', amount: '100' },
    ];
    expect(await refused({ entries: as_sold })).toMatchObject({
      code: 'reversal_exceeds_transaction',
      errors: [{ pointer: '#/entries/0/amount' }],
    });

    const part = await api.post(path, { entries: refund('100', '0'), reference: 're_1' });
    expect(part.status).toBe(201);
    expect(part.body).toMatchObject({
      reference: 're_1',
      entries: [
        { account_code: 'alice', direction: 'credit', amount: '100' },
        { account_code: 'shop', direction: 'debit', amount: '100' },
      ],
    });
    expect(await refused({ entries: refund('171', '0') })).toMatchObject({
      code: 'reversal_exceeds_transaction',
      detail: 'shop has less than 171 left to debit',
      errors: [{ pointer: '#/entries/1/amount', code: 'reversal_exceeds_transaction' }],
    });
    expect((await api.post(path, { entries: refund('0', '30') })).status).toBe(201);
    expect(await refused({ entries: refund('1', '1') })).toMatchObject({
      code: 'reversal_exceeds_transaction',
      errors: [{ pointer: '#/entries/2/amount' }],
    });
    const rest = await api.post(path, {});
    expect(rest.body).toMatchObject({
      entries: [
        { account_code: 'alice', direction: 'credit', amount: '170' },
        { account_code: 'shop', direction: 'debit', amount: '170' },
      ],
    });
    expect(await refused({ entries: refund('1', '0') })).toMatchObject({ code: 'already_reversed' });
    expect(await balance(api, 'alice')).toMatchObject({ posted: '1000' });
    expect(await balance(api, 'shop')).toMatchObject({ posted: '0' });
    expect(await balance(api, 'fees')).toMatchObject({ posted: '0' });
  });

  test('of several entries is tried in a dry run, and passes limits when forced', async () => {
    const { api } = await books();
    const path = await sale(api);
    await api.patch('/v1/accounts/shop', { limits: { available_min: '200' } });
    const entries = refund('100', '0');
    expect((await api.post(path, { entries })).body).toMatchObject({ code: 'insufficient_funds' });
    const dry = await api.post(`${path}?dry_run=true`, { entries, force: true });
    expect(dry).toMatchObject({ status: 200, body: { position: 0 } });
    expect(await balance(api, 'shop')).toMatchObject({ posted: '270' });
    expect((await api.post(path, { entries, force: true })).status).toBe(201);
    expect(await balance(api, 'shop')).toMatchObject({ posted: '170' });
  });

  test('of several entries is an item too, and each sees what the ones before it took', async () => {
    const { api } = await books();
    const reversal_of = (await sale(api)).split('/')[3];
    const items = ['100', '100', '100'].map((shop) => ({ reversal_of, entries: refund(shop, '0') }));
    const refused = await api.post('/v1/transactions/bulk', { transactions: items });
    expect(refused.body).toMatchObject({
      code: 'reversal_exceeds_transaction',
      index: 2,
      errors: [{ pointer: '#/transactions/2/entries/1/amount' }],
    });
    const transactions = [...items.slice(0, 2), { reversal_of }];
    const posted = await api.post('/v1/transactions/bulk?dry_run=true', { transactions });
    expect(posted.status).toBe(200);
    expect(
      (await api.post('/v1/transactions/bulk', { atomic: false, transactions: items })).body,
    ).toMatchObject({
      results: [{ status: 201 }, { status: 201 }, { problem: { code: 'reversal_exceeds_transaction' } }],
    });
    expect((await api.post('/v1/transactions/bulk', { transactions: [{ reversal_of }] })).status).toBe(201);
    expect(await balance(api, 'alice')).toMatchObject({ posted: '1000' });
  });

  test('of a hold is refused; of its capture it works', async () => {
    const { api } = await books();
    const { id } = (await api.post('/v1/transactions', { entries: entries('300'), status: 'pending' })).as(
      TransactionSchema,
    );
    const capture = (await api.post(`/v1/transactions/${id}/capture`, {})).as(TransactionSchema);
    expect((await api.post(`/v1/transactions/${id}/reversal`, {})).body).toMatchObject({
      code: 'transaction_not_posted',
      captured_by: [capture.id],
    });
    expect((await api.post(`/v1/transactions/${capture.id}/reversal`, {})).status).toBe(201);
  });

  test('passes limits only when it is forced, by someone who may', async () => {
    const { api, tenant } = await books();
    const { id } = await aTransaction(api, { debit: 'cash', credit: 'alice', amount: '500' });
    await api.post('/v1/transactions', { entries: entries('1200') });
    expect((await api.post(`/v1/transactions/${id}/reversal`, {})).body).toMatchObject({
      code: 'insufficient_funds',
    });
    const integrator = server.client((await aKey(tenant.id, 'integrator_write')).api_key);
    expect((await integrator.post(`/v1/transactions/${id}/reversal`, { force: true })).status).toBe(403);
    expect((await api.post(`/v1/transactions/${id}/reversal`, { force: true })).status).toBe(201);
    expect(await balance(api, 'alice')).toMatchObject({ posted: '-200', available: '-200' });
  });
});
