// What a refused capture or reversal points to: a field that its request has, or the whole.
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { anAccount, aTenant, aTransaction } from '../../support/factories.ts';
import { startServer } from '../../support/server.ts';
import { refusal } from '../problems.ts';

const server = await startServer();

const ItemsSchema = z.object({ results: z.array(z.object({ problem: z.unknown() })) });

const entries = (debit: string, credit: string, amount: string) => [
  { account: debit, direction: 'debit', amount },
  { account: credit, direction: 'credit', amount },
];

/** A shop that may hold 50, a hold of 100 for it, and a deposit that alice has spent. */
async function books() {
  const api = server.client((await aTenant()).api_key);
  await anAccount(api, { code: 'cash', type: 'asset' });
  await anAccount(api, { code: 'alice', limits: { available_min: '0' } });
  await anAccount(api, { code: 'shop', limits: { posted_max: '50' } });
  const deposit = await aTransaction(api, { debit: 'cash', credit: 'alice', amount: '100' });
  const hold = await aTransaction(api, { debit: 'alice', credit: 'shop', amount: '100', status: 'pending' });
  return { api, deposit: deposit.id, hold: hold.id };
}

describe.each([
  ['all that is left', {}, '#'],
  ['an amount', { amount: '60' }, '#/amount'],
  ['entries', null, '#/entries/1/account'],
])('%s', (_, amount, pointer) => {
  const capture = amount ?? { entries: entries('alice', 'shop', '60') };
  // Of a deposit the reversal debits alice.
  const reversal = amount ?? { entries: entries('alice', 'cash', '60').toReversed() };

  test.each([
    ['post', ''],
    ['dry run', '?dry_run=true'],
  ])('refused by a limit, %s', async (_way, query) => {
    const { api, deposit, hold } = await books();
    const captured = await api.post(`/v1/transactions/${hold}/capture${query}`, capture);
    expect(refusal(captured)).toBe(`422 limit_exceeded ${pointer} limit_exceeded`);
    const reversed = await api.post(`/v1/transactions/${deposit}/reversal${query}`, reversal);
    expect(refusal(reversed)).toBe(`422 insufficient_funds ${pointer} insufficient_funds`);
  });

  test('refused by an account that is closed', async () => {
    const { api, deposit, hold } = await books();
    for (const account of ['shop', 'alice']) await api.post(`/v1/accounts/${account}/closure`);
    const [captured, reversed] = [
      await api.post(`/v1/transactions/${hold}/capture`, capture),
      await api.post(`/v1/transactions/${deposit}/reversal`, reversal),
    ];
    // The first closed account of the request is named.
    const first = amount === null ? '#/entries/0/account' : pointer;
    expect(refusal(captured)).toBe(`422 account_closed ${first} account_closed`);
    expect(refusal(reversed)).toBe(`422 account_closed ${pointer} account_closed`);
  });

  test('in bulk', async () => {
    const { api, deposit, hold } = await books();
    const items = [
      { item: { capture_of: hold, ...capture }, field: 'capture_of', code: 'limit_exceeded' },
      { item: { reversal_of: deposit, ...reversal }, field: 'reversal_of', code: 'insufficient_funds' },
    ];
    for (const { item, field, code } of items) {
      const path = pointer === '#' ? `/${field}` : pointer.slice(1);
      const body = { transactions: [item] };
      const group = await api.post('/v1/transactions/bulk', { ...body, atomic: true });
      expect(refusal(group)).toBe(`422 ${code} #/transactions/0${path} ${code}`);
      const each = await api.post('/v1/transactions/bulk', { ...body, atomic: false });
      const [result] = each.as(ItemsSchema).results;
      expect(refusal({ body: result?.problem })).toBe(`422 ${code} #${path} ${code}`);
    }
  });
});
