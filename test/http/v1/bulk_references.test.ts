// A reference that items of one bulk request share is taken by the first of them: named by its id where it is kept, else by its index.
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { anAccount, aTenant } from '../../support/factories.ts';
import { startServer } from '../../support/server.ts';

const server = await startServer();

const path = '/v1/transactions/bulk';
const ResultsSchema = z.object({
  results: z.array(z.looseObject({ status: z.number(), problem: z.unknown().optional() })),
});
const IdSchema = z.looseObject({ id: z.string() });

async function books() {
  const api = server.client((await aTenant()).api_key);
  await anAccount(api, { code: 'cash', type: 'asset' });
  await anAccount(api, { code: 'alice' });
  return api;
}

const item = (more: object = {}) => ({
  entries: [
    { account: 'cash', direction: 'debit', amount: '10' },
    { account: 'alice', direction: 'credit', amount: '10' },
  ],
  ...more,
});
const shared = item({ reference: 'r' });
const missing = { void_of: 'txn_01h455vb4pex5vsknk084sn02q' };
/** What is refused names the item that comes with the same reference, as no transaction of the request is kept. */
const by_item = (reference_index: number) => ({
  code: 'reference_taken',
  detail: `The reference r belongs to item ${reference_index} of the same request`,
  reference: 'r',
  reference_index,
});

describe('of an atomic group', () => {
  test.each([
    ['is posted as it is', [item(), shared, item(), shared]],
    ['has another item that is wrong', [item(), shared, item(), shared, missing]],
  ])('that %s', async (_, transactions) => {
    const api = await books();
    const body = { atomic: true, transactions };
    for (const query of ['', '?dry_run=true']) {
      const refused = await api.post(`${path}${query}`, body);
      expect(refused.status).toBe(409);
      expect(refused.body).toMatchObject({
        ...by_item(1),
        index: 3,
        errors: [{ pointer: '#/transactions/3/reference', code: 'reference_taken' }],
      });
      expect(refused.body).not.toHaveProperty('transaction_id');
    }
    expect((await api.get('/v1/transactions?reference=r')).body).toMatchObject({ data: [] });
  });

  test('is named by its id when it was there before', async () => {
    const api = await books();
    const { id } = (await api.post('/v1/transactions', shared)).as(IdSchema);
    const refused = await api.post(path, { atomic: true, transactions: [item(), shared, shared] });
    expect(refused.body).toMatchObject({ code: 'reference_taken', index: 1, transaction_id: id });
    expect(refused.body).not.toHaveProperty('reference_index');
    expect((await api.get(`/v1/transactions/${id}`)).status).toBe(200);
  });
});

test('of a hold that another item of the group voids is named by its id', async () => {
  const api = await books();
  const { id } = (await api.post('/v1/transactions', { ...shared, status: 'pending' })).as(IdSchema);
  const refused = await api.post(path, { atomic: true, transactions: [shared, { void_of: id }] });
  expect(refused.body).toMatchObject({ code: 'reference_taken', index: 0, transaction_id: id });
  expect(refused.body).not.toHaveProperty('reference_index');
});

describe('of items on their own', () => {
  test('is named by the id of the one that is posted', async () => {
    const api = await books();
    const answer = await api.post(path, { atomic: false, transactions: [{ entries: [] }, shared, shared] });
    const [, first, second] = answer.as(ResultsSchema).results;
    const { id } = IdSchema.parse(first?.transaction);
    expect(second?.problem).toMatchObject({ code: 'reference_taken', transaction_id: id });
    expect((await api.get(`/v1/transactions/${id}`)).status).toBe(200);
  });

  test('is named by its index in a dry run, which posts none', async () => {
    const api = await books();
    const transactions = [{ entries: [] }, shared, shared];
    const answer = await api.post(`${path}?dry_run=true`, { atomic: false, transactions });
    const [, first, second] = answer.as(ResultsSchema).results;
    expect(first?.status).toBe(201);
    expect(second?.problem).toMatchObject(by_item(1));
    expect(second?.problem).not.toHaveProperty('transaction_id');
  });
});
