// Many follow-ups of one transaction in one request.
import { expect, test } from 'vitest';
import { z } from 'zod';
import { anAccount, aTenant } from '../../support/factories.ts';
import { startServer } from '../../support/server.ts';

const path = '/v1/transactions/bulk';
const server = await startServer();
const TransactionSchema = z.looseObject({ id: z.string() });
const ResultsSchema = z.object({ results: z.array(z.object({ status: z.number() })) });

const entries = (amount: string) => [
  { account: 'alice', direction: 'debit', amount },
  { account: 'shop', direction: 'credit', amount },
];

async function books() {
  const api = server.client((await aTenant()).api_key);
  await anAccount(api, { code: 'alice' });
  await anAccount(api, { code: 'shop' });
  return api;
}

test('as many captures of one hold as a request may have are answered', async () => {
  const api = await books();
  const count = 10_000;
  const body = { entries: entries(`${count}`), status: 'pending' };
  const { id } = (await api.post('/v1/transactions', body)).as(TransactionSchema);
  const transactions = Array(count).fill({ capture_of: id, amount: '1' });
  const answer = await api.post(`${path}?dry_run=true`, { transactions });
  expect(answer.as(ResultsSchema).results.filter(({ status }) => status === 201)).toHaveLength(count);
  // A second or two; a minute where each looks at all before it.
}, 30_000);

test('each takes of what those before it have left, up to the last', async () => {
  const api = await books();
  const made = async (more: object) =>
    (await api.post('/v1/transactions', { entries: entries('60'), ...more })).as(TransactionSchema).id;
  const [hold, posting] = [await made({ status: 'pending' }), await made({})];
  const followUps = [
    ...Array(29).fill({ capture_of: hold, amount: '2' }),
    ...Array(29).fill({ reversal_of: posting, amount: '2' }),
    { capture_of: hold, amount: '1', final: true },
    { reversal_of: posting },
  ];
  const too_many = { atomic: true, transactions: [...followUps, { reversal_of: posting, amount: '1' }] };
  // What a group would have posted before its culprit is not there to be named.
  const refused = { code: 'already_reversed', index: 60, reversed_by: [] };
  expect((await api.post(path, too_many)).body).toMatchObject(refused);
  expect((await api.post(path, { transactions: followUps })).status).toBe(201);
  const read = async (id: string) => (await api.get(`/v1/transactions/${id}`)).body;
  expect(await read(hold)).toMatchObject({ status: 'posted', captured: '59', remaining: '0' });
  expect(await read(posting)).toMatchObject({ reversed_by: { length: 30 } });
});

test('a refusal names the newest hundred of a transaction’s reversals', async () => {
  const api = await books();
  const { id } = (await api.post('/v1/transactions', { entries: entries('120') })).as(TransactionSchema);
  await api.post(path, { transactions: Array(120).fill({ reversal_of: id, amount: '1' }) });
  const { reversed_by } = (await api.get(`/v1/transactions/${id}`)).as(
    z.looseObject({ reversed_by: z.array(z.string()) }),
  );
  expect(reversed_by).toHaveLength(120);
  expect((await api.post(`/v1/transactions/${id}/reversal`)).body).toMatchObject({
    code: 'already_reversed',
    reversed_by: reversed_by.slice(-100),
  });
});
