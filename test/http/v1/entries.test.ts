// GET /v1/accounts/{account}/entries: the statement, with the balance right after each line.
import { expect, test } from 'vitest';
import { z } from 'zod';
import { randomBooks } from '../../modules/ledger/random_books.ts';
import type { Client } from '../../support/client.ts';
import { asSuperuser } from '../../support/database.ts';
import { anAccount, aTenant, aTransaction } from '../../support/factories.ts';
import { startServer } from '../../support/server.ts';

const server = await startServer();

const LineSchema = z.object({
  transaction_id: z.string(),
  position: z.number(),
  direction: z.enum(['debit', 'credit']),
  amount: z.string(),
  balance: z.string(),
  currency: z.string(),
  scale: z.number(),
  effective_at: z.string(),
  recorded_at: z.string(),
  description: z.string().nullable(),
  reference: z.string().nullable(),
});
type Line = z.infer<typeof LineSchema>;
const PageSchema = z.object({
  data: z.array(LineSchema),
  has_more: z.boolean(),
  next_cursor: z.string().nullable(),
  position: z.number(),
});

async function page(api: Client, account: string, query: Record<string, string>) {
  return (await api.get(`/v1/accounts/${account}/entries?${new URLSearchParams(query)}`)).as(PageSchema);
}

/** All lines, page by page. */
async function statement(api: Client, account: string, query: Record<string, string>): Promise<Line[]> {
  const lines: Line[] = [];
  let cursor: string | null = null;
  do {
    const next: z.infer<typeof PageSchema> = await page(api, account, {
      ...query,
      ...(cursor === null ? {} : { cursor }),
    });
    lines.push(...next.data);
    cursor = next.next_cursor;
  } while (cursor !== null);
  return lines;
}

test('a statement shows what was posted, newest first, with the balance right after each line', async () => {
  const api = server.client((await aTenant()).api_key);
  await anAccount(api, { code: 'cash', type: 'asset' });
  await anAccount(api, { code: 'alice' });
  const first = await aTransaction(api, {
    debit: 'cash',
    credit: 'alice',
    amount: '100',
    description: 'salary',
    reference: 'pay_1',
    effective_at: '2026-10-01T00:00:00Z',
  });
  await aTransaction(api, { debit: 'cash', credit: 'alice', amount: '5', status: 'pending' });
  const second = await aTransaction(api, { debit: 'alice', credit: 'cash', amount: '30' });
  const { data } = await page(api, 'alice', {});
  expect(data).toEqual([
    {
      transaction_id: second.id,
      position: second.position,
      direction: 'debit',
      amount: '30',
      balance: '70',
      currency: 'EUR',
      scale: 2,
      effective_at: second.recorded_at,
      recorded_at: second.recorded_at,
      description: null,
      reference: null,
    },
    {
      transaction_id: first.id,
      position: first.position,
      direction: 'credit',
      amount: '100',
      balance: '100',
      currency: 'EUR',
      scale: 2,
      effective_at: '2026-10-01T00:00:00Z',
      recorded_at: first.recorded_at,
      description: 'salary',
      reference: 'pay_1',
    },
  ]);
  expect((await page(api, 'cash', { order: 'asc' })).data.map(({ balance }) => balance)).toEqual([
    '100',
    '70',
  ]);
});

test('an account on several lines of one transaction has a balance after each', async () => {
  const api = server.client((await aTenant()).api_key);
  for (const code of ['a', 'b']) await anAccount(api, { code });
  await api.post('/v1/transactions', {
    entries: [
      { account: 'a', direction: 'credit', amount: '5' },
      { account: 'b', direction: 'debit', amount: '7' },
      { account: 'a', direction: 'debit', amount: '1' },
      { account: 'a', direction: 'credit', amount: '3' },
    ],
  });
  const lines = await statement(api, 'a', { order: 'asc', limit: '1' });
  expect(lines.map(({ balance }) => balance)).toEqual(['5', '4', '7']);
  const newest_first = await statement(api, 'a', { order: 'desc', limit: '2' });
  expect(newest_first.map(({ balance }) => balance)).toEqual(['7', '4', '5']);
});

const CountedSchema = z.object({
  position: z.coerce.number(),
  amount: z.string(),
  net: z.string(),
  effective: z.date(),
  recorded: z.date(),
});

const counted_lines = `
  select entry.position::text as position, entry.amount::text as amount, effective_at as effective, recorded_at as recorded,
    sum(case entry.direction when 'debit' then -entry.amount else entry.amount end) over (order by entry.position, entry.ordinal)::text as net
  from ledger.entry
  join ledger.account on account.tenant_id = entry.tenant_id and account.id = entry.account_id
  where entry.tenant_id = $1 and account.code = $2 and entry.layer = 'posted'
  order by entry.position, entry.ordinal`;

test('every page of a long statement is exact, in both orders and through every filter', async () => {
  const tenant = await aTenant();
  const api = server.client(tenant.api_key);
  await randomBooks(api, 11, 1_500);
  const account = 'customers:a';
  const counted = await asSuperuser(CountedSchema, counted_lines, [tenant.id, account]);
  expect(counted.length).toBeGreaterThan(600);
  const middle = counted[Math.floor(counted.length / 2)];
  if (middle === undefined) throw new Error('no entries');
  const week_ago = new Date(Date.now() - 40 * 86_400_000);
  const now = new Date();
  const filters: [Record<string, string>, (line: z.infer<typeof CountedSchema>) => boolean][] = [
    [{}, () => true],
    [{ 'effective_at[gte]': week_ago.toISOString() }, ({ effective }) => effective >= week_ago],
    [{ 'effective_at[lte]': week_ago.toISOString() }, ({ effective }) => effective <= week_ago],
    [
      { 'effective_at[gte]': week_ago.toISOString(), 'effective_at[lte]': now.toISOString() },
      ({ effective }) => effective >= week_ago && effective <= now,
    ],
    [{ 'recorded_at[gte]': now.toISOString() }, ({ recorded }) => recorded >= now],
    [{ 'recorded_at[lte]': now.toISOString() }, ({ recorded }) => recorded <= now],
  ];
  for (const [query, holds] of filters) {
    const expected = counted.filter(holds).map(({ position, amount, net }) => [position, amount, net]);
    for (const order of ['asc', 'desc']) {
      const lines = await statement(api, account, { ...query, order, limit: '97' });
      const seen = lines.map(({ position, amount, balance }) => [position, amount, balance]);
      expect(seen).toEqual(order === 'asc' ? expected : expected.toReversed());
    }
  }
});

test("a cursor of another account's statement is refused", async () => {
  const api = server.client((await aTenant()).api_key);
  for (const code of ['a', 'b']) await anAccount(api, { code });
  for (let count = 0; count < 2; count += 1) await aTransaction(api, { debit: 'a', credit: 'b' });
  const { next_cursor } = await page(api, 'a', { limit: '1' });
  expect((await api.get(`/v1/accounts/b/entries?limit=1&cursor=${next_cursor}`)).body).toMatchObject({
    code: 'cursor_mismatch',
  });
  expect((await api.get('/v1/accounts/c/entries')).body).toMatchObject({ code: 'not_found' });
});

test('an account without entries has an empty statement', async () => {
  const api = server.client((await aTenant()).api_key);
  await anAccount(api, { code: 'a' });
  expect(await page(api, 'a', {})).toEqual({ data: [], has_more: false, next_cursor: null, position: 2 });
});

test('a statement tells its position, also without a line, and waits for none', async () => {
  const api = server.client((await aTenant()).api_key);
  for (const code of ['cash', 'alice', 'bob']) await anAccount(api, { code });
  const { position } = await aTransaction(api, { debit: 'cash', credit: 'alice', amount: '5' });
  for (const account of ['alice', 'bob']) {
    expect(await page(api, account, { min_position: String(position) })).toMatchObject({ position });
    expect(
      (await api.get(`/v1/accounts/${account}/entries?min_position=${position + 1}`)).body,
    ).toMatchObject({
      code: 'invalid_request',
      errors: [{ pointer: '#/query/min_position', code: 'position_ahead' }],
    });
  }
});

test('a statement is CSV when that is asked for, all of it unless a limit is given', async () => {
  const api = server.client((await aTenant()).api_key);
  await anAccount(api, { code: 'cash', type: 'asset' });
  await anAccount(api, { code: 'alice' });
  for (let amount = 1; amount <= 60; amount += 1) {
    await aTransaction(api, { debit: 'cash', credit: 'alice', amount: `${amount}`, description: '=1+1' });
  }
  const lines = await statement(api, 'alice', { order: 'asc' });
  const answer = await api.get('/v1/accounts/alice/entries?order=asc', { headers: { Accept: 'text/csv' } });
  expect([answer.headers.get('content-type'), answer.headers.get('lattice-position')]).toEqual([
    'text/csv; charset=utf-8',
    String(lines.at(-1)?.position),
  ]);
  expect(answer.text.split('\r\n')).toEqual([
    'transaction_id,position,direction,amount,balance,currency,scale,effective_at,recorded_at,description,reference',
    ...lines.map((line) => Object.values({ ...line, description: `'${line.description}` }).join()),
    '',
  ]);
  const paged = await api.get('/v1/accounts/alice/entries?format=csv&limit=2');
  expect([paged.text.split('\r\n').length, paged.headers.get('link')]).toEqual([
    4,
    expect.stringContaining('rel="next"'),
  ]);
});
