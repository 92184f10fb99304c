// Invoices, daily activity and balances by day, read as customers read them: as pages and as CSV, at the position that they ask for.
import { expect, test } from 'vitest';
import { z } from 'zod';
import { asSuperuser } from '../../support/database.ts';
import { startServer } from '../../support/server.ts';
import { aShop, PageSchema } from '../shop.ts';

const server = await startServer();
const newShop = () => aShop(server);

const ProblemSchema = z.looseObject({
  code: z.string(),
  errors: z.array(z.looseObject({ code: z.string() })).optional(),
});

/** One line for each, as far as money goes. */
async function owed(shop: Awaited<ReturnType<typeof newShop>>, query: string) {
  const { data } = await shop.read(`/v1/invoices${query}`);
  return data.map(
    ({ invoice, customer, raised, paid, due, status, bucket, days_overdue }) =>
      `${invoice} ${customer}: ${raised} - ${paid} = ${due} ${status} ${bucket} ${days_overdue}`,
  );
}

test('an invoice is what was raised less what was paid, as of any day, overdue from the day after it is due', async () => {
  const shop = await newShop();
  await shop.raise('10000', { invoice: 'inv_1', customer: 'alice', due_on: '2026-01-31' });
  await shop.pay('4000', { invoice: 'inv_1' });
  await shop.pay('6000', { invoice: 'inv_1' }, '2026-03-15T00:00:00Z');
  await shop.raise('500', { invoice: 'inv_2', customer: 'bob' });
  await shop.raise('700', { other: 'thing' });
  expect(await owed(shop, '?as_of=2026-01-09')).toEqual([]);
  expect(await owed(shop, '?as_of=2026-01-31')).toEqual([
    'inv_1 alice: 10000 - 0 = 10000 open current 0',
    'inv_2 bob: 500 - 0 = 500 open current 0',
  ]);
  expect(await owed(shop, '?as_of=2026-03-01&customer=alice')).toEqual([
    'inv_1 alice: 10000 - 4000 = 6000 overdue days_1_30 29',
  ]);
  expect(await owed(shop, '?as_of=2026-03-14&status=overdue')).toEqual([
    'inv_1 alice: 10000 - 4000 = 6000 overdue days_31_60 42',
  ]);
  expect(await owed(shop, '?status=paid')).toEqual(['inv_1 alice: 10000 - 10000 = 0 paid null 0']);
});

test('a reversal takes back what its target did, a capture counts for the hold, a hold does not count', async () => {
  const shop = await newShop();
  const raised = await shop.raise('1000', { invoice: 'inv_1', customer: 'alice', due_on: '2026-01-31' });
  const paid = await shop.pay('300', { invoice: 'inv_1' });
  await shop.follow(`/v1/transactions/${paid.id}/reversal`, { amount: '100' });
  await shop.follow(`/v1/transactions/${raised.id}/reversal`, { amount: '200' });
  expect(await owed(shop, '?as_of=2026-01-31')).toEqual(['inv_1 alice: 1000 - 0 = 1000 open current 0']);
  expect(await owed(shop, '')).toEqual([expect.stringContaining('inv_1 alice: 800 - 200 = 600 overdue')]);
  const hold = await shop.post('assets:bank', 'receivables:customers', '50', {
    metadata: { invoice: 'inv_1' },
    status: 'pending',
  });
  expect(await owed(shop, '')).toEqual([expect.stringContaining('800 - 200 = 600')]);
  await shop.follow(`/v1/transactions/${hold.id}/capture`, { amount: '40' });
  expect(await owed(shop, '')).toEqual([expect.stringContaining('800 - 240 = 560')]);
});

test('aging says per customer how long what is due has been overdue', async () => {
  const shop = await newShop();
  const due = { a: '2026-05-31', b: '2026-05-01', c: '2026-04-01', d: '2026-03-02', e: '2026-03-01' };
  for (const [index, due_on] of Object.values(due).entries()) {
    await shop.raise(`${10 ** index}`, { invoice: `inv_${index}`, customer: 'alice', due_on });
  }
  await shop.raise('7', { invoice: 'inv_x' });
  await shop.pay('9', { invoice: 'inv_x' });
  const { data } = await shop.read('/v1/invoices/aging?as_of=2026-05-31');
  expect(data).toEqual([
    {
      customer: null,
      currency: 'EUR',
      scale: 2,
      invoice_count: 1,
      due: '0',
      current: '0',
      days_1_30: '0',
      days_31_60: '0',
      days_61_90: '0',
      days_over_90: '0',
      overpaid: '2',
    },
    {
      customer: 'alice',
      currency: 'EUR',
      scale: 2,
      invoice_count: 5,
      due: '11111',
      current: '1',
      days_1_30: '10',
      days_31_60: '100',
      days_61_90: '1000',
      days_over_90: '10000',
      overpaid: '0',
    },
  ]);
});

test('daily activity is split by a dimension from the position on that names it', async () => {
  const shop = await newShop();
  await shop.raise('100', { channel: 'web' });
  await shop.api.post('/v1/report_dimensions', { key: 'channel' });
  const web = await shop.raise('20', { channel: 'web' });
  await shop.raise('3', { channel: 'shop' });
  await shop.follow(`/v1/transactions/${web.id}/reversal`, { effective_at: '2026-01-11T00:00:00Z' });
  const lines = async (query: string) =>
    (await shop.read(`/v1/reports/daily_activity${query}`)).data.map(
      ({ effective_on, value, account_type, debits, credits, entry_count }) =>
        `${effective_on} ${value} ${account_type} ${debits} ${credits} ${entry_count}`,
    );
  expect(await lines('?account_type=revenue')).toEqual([
    '2026-01-10 null revenue 0 123 3',
    '2026-01-11 null revenue 20 0 1',
  ]);
  expect(await lines('?dimension=channel&account_type=revenue')).toEqual([
    '2026-01-10 shop revenue 0 3 1',
    '2026-01-10 web revenue 0 20 1',
    '2026-01-11 web revenue 20 0 1',
  ]);
  expect(await lines('?dimension=channel&value=web&as_of=2026-01-10&from=2026-01-10')).toHaveLength(2);
  const dimensions = await shop.api.get('/v1/report_dimensions');
  expect(dimensions.body).toMatchObject({ data: [{ key: 'channel' }] });
  const again = await shop.api.post('/v1/report_dimensions', { key: 'channel' });
  expect(again.as.bind(null, z.unknown())).toThrow('report_dimension_taken');
  for (let number = 2; number <= 10; number += 1)
    await shop.api.post('/v1/report_dimensions', { key: `k${number}` });
  const eleventh = await shop.api.post('/v1/report_dimensions', { key: 'k11' });
  expect(ProblemSchema.parse(eleventh.body).code).toBe('report_dimension_limit_reached');
});

test('a balance at the end of a day is the one that the account tells of that instant, on both axes', async () => {
  const shop = await newShop();
  await shop.raise('1000', {}, '2026-01-10T23:59:59.999999Z');
  await shop.raise('200', {}, '2026-01-11T00:00:00Z');
  await shop.pay('30', {}, '2026-01-12T08:00:00Z');
  const account = 'receivables:customers';
  for (const day of ['2026-01-09', '2026-01-10', '2026-01-11', '2026-01-12']) {
    const { data } = await shop.read(`/v1/balances/daily?as_of=${day}&account=${account}`);
    const exact = await shop.api.get(`/v1/accounts/${account}/balance?as_of=${day}T23:59:59.999999Z`);
    const { posted } = exact.as(z.looseObject({ posted: z.object({ balance: z.string() }) }));
    expect(data[0]?.balance ?? '0', day).toBe(posted.balance);
  }
  const known = await shop.read('/v1/balances/daily?known_on=2026-01-12');
  expect(known.data).toEqual([]);
  const all = await shop.read('/v1/balances/daily?code_prefix=re');
  expect(all.data.map(({ account_code, balance }) => `${account_code} ${balance}`)).toEqual([
    'receivables:customers 1170',
    'revenue:sales 1200',
  ]);
});

test('pages follow each other, and a cursor is bound to its filters', async () => {
  const shop = await newShop();
  for (const number of [1, 2, 3]) await shop.raise('5', { invoice: `inv_${number}` });
  const first = await shop.read('/v1/invoices?limit=2');
  expect(first.data.map(({ invoice }) => invoice)).toEqual(['inv_1', 'inv_2']);
  const second = await shop.api.get(`/v1/invoices?limit=2&cursor=${first.next_cursor}`);
  expect(second.as(PageSchema).data.map(({ invoice }) => invoice)).toEqual(['inv_3']);
  const other = await shop.api.get(`/v1/invoices?status=open&cursor=${first.next_cursor}`);
  expect(ProblemSchema.parse(other.body).code).toBe('cursor_mismatch');
});

test('a page goes on after a name of any characters that metadata may have', async () => {
  const shop = await newShop();
  const names = ['\u0001'.repeat(500), '漢'.repeat(500), '😀'.repeat(250)];
  for (const invoice of names) await shop.raise('1', { invoice, customer: invoice });
  for (const list of ['/v1/invoices', '/v1/invoices/aging']) {
    const seen: unknown[] = [];
    for (let cursor = ''; ; ) {
      const page = await shop.read(`${list}?limit=1${cursor}`);
      seen.push(...page.data.map(({ customer }) => customer));
      if (page.next_cursor === null) break;
      cursor = `&cursor=${page.next_cursor}`;
    }
    expect(seen).toEqual(names);
  }
});

test('a cursor with what Postgres would refuse is none', async () => {
  const shop = await newShop();
  await shop.raise('1', { invoice: 'inv_1' });
  await shop.raise('1', { invoice: 'inv_2' });
  const forge = async (list: string, key: unknown) => {
    const { next_cursor } = await shop.read(`${list}?limit=1`);
    const made = z
      .tuple([z.string(), z.unknown()])
      .parse(JSON.parse(Buffer.from(next_cursor ?? '', 'base64url').toString()));
    const cursor = Buffer.from(JSON.stringify([made[0], key])).toString('base64url');
    return ProblemSchema.parse((await shop.api.get(`${list}?cursor=${cursor}`)).body).code;
  };
  expect(await forge('/v1/invoices', ['\0', 'EUR'])).toBe('cursor_invalid');
  expect(await forge('/v1/invoices', ['\ud800', 'EUR'])).toBe('cursor_invalid');
  expect(await forge('/v1/reports/daily_activity', ['the day', '', '', ''])).toBe('cursor_invalid');
  expect(await forge('/v1/reports/daily_activity', ['0000-01-01', '', '', ''])).toBe('cursor_invalid');
});

test('CSV has all rows, quotes what needs it, runs no formula, and says its position', async () => {
  const shop = await newShop();
  await shop.raise('5', { invoice: 'inv_1', customer: '=HYPERLINK("x")' });
  await shop.raise('6', { invoice: 'inv, "2"', customer: '-5' });
  await shop.raise('7', { invoice: '@sum', customer: 'line\nbreak' });
  const by_query = await shop.api.get(`/v1/invoices?format=csv&as_of=2026-01-31&min_position=${shop.at()}`);
  const by_header = await shop.api.get('/v1/invoices?as_of=2026-01-31', { headers: { Accept: 'text/csv' } });
  expect(by_query.headers.get('content-type')).toBe('text/csv; charset=utf-8');
  expect(by_query.headers.get('lattice-position')).toBe(String(shop.at()));
  expect(by_header.text).toBe(by_query.text);
  expect(by_query.text).toBe(
    [
      'invoice,customer,currency,scale,raised,paid,due,due_on,days_overdue,bucket,status,first_on',
      `'@sum,"line\nbreak",EUR,2,7,0,7,,0,current,open,2026-01-10`,
      '"inv, ""2""",-5,EUR,2,6,0,6,,0,current,open,2026-01-10',
      `inv_1,"'=HYPERLINK(""x"")",EUR,2,5,0,5,,0,current,open,2026-01-10`,
      '',
    ].join('\r\n'),
  );
  const paged = await shop.api.get('/v1/invoices?format=csv&limit=1');
  expect(paged.text.split('\r\n')).toHaveLength(3);
  expect(paged.headers.get('link')).toContain('rel="next"');
});

test('a position beyond the log is refused, and one that a parked projection does not reach is to be retried', async () => {
  const shop = await newShop();
  await shop.raise('5', { invoice: 'inv_1' });
  await shop.read('/v1/invoices');
  const ahead = await shop.api.get(`/v1/invoices?min_position=${shop.at() + 1000}`);
  expect(ProblemSchema.parse(ahead.body)).toMatchObject({
    code: 'invalid_request',
    errors: [{ code: 'position_ahead' }],
  });
  await asSuperuser(
    z.unknown(),
    `update log.consumer set attempts = 8, reason = 'test', parked_at = now() where tenant_id = $1 and name = 'invoices'`,
    [shop.tenant.id],
  );
  await shop.raise('6', { invoice: 'inv_2' });
  const behind = await shop.api.get(`/v1/invoices?min_position=${shop.at()}`);
  expect([behind.status, behind.headers.get('retry-after')]).toEqual([409, '1']);
  expect(ProblemSchema.parse(behind.body)).toMatchObject({
    code: 'projection_behind',
    min_position: shop.at(),
  });
});

test('what is no date, no number and no filter is named', async () => {
  const { api } = await newShop();
  for (const query of ['as_of=2026-02-30', 'min_position=-1', 'status=late', 'format=xml', 'colour=red']) {
    const answer = await api.get(`/v1/invoices?${query}`);
    expect([query, answer.status, ProblemSchema.parse(answer.body).code]).toEqual([
      query,
      400,
      'invalid_request',
    ]);
  }
});

test('an account or a dimension that is not there is a 404, not an empty report', async () => {
  const { api, raise, read } = await newShop();
  await raise('5', { channel: 'web' });
  const refusals = [];
  for (const path of [
    '/v1/balances/daily?account=nobody',
    '/v1/reports/daily_activity?dimension=channel',
    '/v1/reports/daily_activity?value=web',
  ]) {
    const answer = await api.get(path);
    refusals.push([answer.status, ProblemSchema.parse(answer.body).errors?.map(({ code }) => code)]);
  }
  expect(refusals).toEqual([
    [404, undefined],
    [404, ['not_found']],
    [400, ['dimension_missing']],
  ]);
  expect((await api.post('/v1/report_dimensions', { key: 'channel' })).status).toBe(201);
  expect((await read('/v1/reports/daily_activity?dimension=channel')).data).toEqual([]);
  expect((await read('/v1/balances/daily?account=assets:bank')).data).toEqual([]);
});

test('a recount that differs everywhere answers a thousand differences, not all', async () => {
  const shop = await newShop();
  await asSuperuser(
    z.unknown(),
    `insert into projection.reports_v
     select $1, 1, 'none', '2026-01-01', number::text, 'asset', 'EUR', 2, 1, 1, 1 from generate_series(1, 1500) number`,
    [shop.tenant.id],
  );
  await shop.raise('5', { invoice: 'inv_1' });
  await shop.read('/v1/reports/daily_activity');
  const { data } = (await shop.api.get('/v1/projection_differences?projection=reports')).as(
    z.object({ data: z.array(z.looseObject({ difference_count: z.number() })) }),
  );
  expect(data.map(({ difference_count }) => difference_count)).toEqual([1_000]);
});
