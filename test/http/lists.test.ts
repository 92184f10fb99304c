// Every list pages by opaque cursors that belong to its filters.
import { expect, test } from 'vitest';
import { z } from 'zod';
import { anAccount, aTenant, aTransaction } from '../support/factories.ts';
import { startServer } from '../support/server.ts';
import { refusal } from './problems.ts';

const server = await startServer();

const PageSchema = z.object({
  data: z.array(z.looseObject({ code: z.string() })),
  has_more: z.boolean(),
  next_cursor: z.string().nullable(),
});

async function aClientWith(accounts: number) {
  const api = server.client((await aTenant()).api_key);
  for (let index = 0; index < accounts; index += 1) await anAccount(api, { code: `list:${index}` });
  return api;
}

test('following next_cursor, or the Link, visits everything once', async () => {
  const api = await aClientWith(5);
  const codes: string[] = [];
  let path: string | null = '/v1/accounts?limit=2&code_prefix=list%3A';
  const sizes: number[] = [];
  while (path !== null) {
    const answer = await api.get(path);
    const page = answer.as(PageSchema);
    codes.push(...page.data.map((account) => account.code));
    sizes.push(page.data.length);
    const link = answer.headers.get('link');
    expect(link === null).toBe(page.next_cursor === null);
    expect(page.has_more).toBe(page.next_cursor !== null);
    path = link === null ? null : (/^<([^>]+)>; rel="next"$/.exec(link)?.[1] ?? null);
    if (path !== null) expect(path).toContain(`cursor=${page.next_cursor}`);
  }
  expect(codes).toEqual(['list:0', 'list:1', 'list:2', 'list:3', 'list:4']);
  expect(sizes).toEqual([2, 2, 1]);
});

test('the Link keeps a filter that has a question mark as it is', async () => {
  const api = await aClientWith(0);
  for (const code of ['a', 'b']) await anAccount(api, { code });
  for (let count = 0; count < 2; count += 1)
    await aTransaction(api, { debit: 'a', credit: 'b', metadata: { ord: 'what?now' } });
  const first = await api.get('/v1/transactions?metadata[ord]=what?now&limit=1');
  const [, path = ''] = /^<([^>]+)>; rel="next"$/.exec(first.headers.get('link') ?? '') ?? [];
  expect(new URLSearchParams(path.slice(path.indexOf('?') + 1)).get('metadata[ord]')).toBe('what?now');
  expect((await api.get(path)).body).toMatchObject({
    data: [{ metadata: { ord: 'what?now' } }],
    has_more: false,
  });
});

test('a page that ends exactly with the list says so', async () => {
  const api = await aClientWith(2);
  expect((await api.get('/v1/accounts?limit=2')).as(PageSchema)).toMatchObject({
    has_more: false,
    next_cursor: null,
  });
});

test('the limit may change from page to page, the filters may not', async () => {
  const api = await aClientWith(3);
  const { next_cursor } = (await api.get('/v1/accounts?limit=1')).as(PageSchema);
  const rest = (await api.get(`/v1/accounts?limit=200&cursor=${next_cursor}`)).as(PageSchema);
  expect(rest.data.map((account) => account.code)).toEqual(['list:1', 'list:2']);
  const wanted = '400 cursor_mismatch #/query/cursor cursor_mismatch';
  expect(refusal(await api.get(`/v1/accounts?code_prefix=list&cursor=${next_cursor}`))).toBe(wanted);
  expect(refusal(await api.get(`/v1/transactions?cursor=${next_cursor}`))).toBe(wanted);
  expect(refusal(await api.get(`/v1/events?cursor=${next_cursor}`))).toBe(wanted);
});

test('filters are the same in whatever order they are given', async () => {
  const api = await aClientWith(0);
  const metadata = { order: 'o_1', shop: 's_1' };
  for (const code of ['a', 'b']) await anAccount(api, { code, metadata });
  const first = await api.get('/v1/accounts?metadata[order]=o_1&metadata[shop]=s_1&type=liability&limit=1');
  const { next_cursor } = first.as(PageSchema);
  const other_order = 'type=liability&metadata[shop]=s_1&metadata[order]=o_1';
  const second = await api.get(`/v1/accounts?${other_order}&cursor=${next_cursor}`);
  expect(second.as(PageSchema).data.map(({ code }) => code)).toEqual(['b']);
  const swapped = 'type=liability&metadata[shop]=o_1&metadata[order]=s_1';
  expect(refusal(await api.get(`/v1/accounts?${swapped}&cursor=${next_cursor}`))).toBe(
    '400 cursor_mismatch #/query/cursor cursor_mismatch',
  );
});

test.each([
  'x',
  'eyJ9',
  '%00',
  'a.b',
  Buffer.from('[]').toString('base64url'),
  Buffer.from('["x"]').toString('base64url'),
  Buffer.from('{"a":1}').toString('base64url'),
  Buffer.from('[1, 2]').toString('base64url'),
  'A'.repeat(3_000),
])('the cursor %s is not one of ours', async (cursor) => {
  const api = await aClientWith(0);
  const answer = await api.get(`/v1/accounts?cursor=${cursor}`);
  expect(refusal(answer)).toMatch(
    /^400 (cursor_invalid #\/query\/cursor cursor_invalid|invalid_request #\/query\/cursor nul_character)$/,
  );
});

const beyond = Number.MAX_SAFE_INTEGER;
test.each([
  [
    '/v1/accounts/a/entries',
    [
      [1, beyond],
      [1, -beyond],
      [1, -1],
      [0, 0],
      [-1, 0],
      [2 ** 60, 0],
      [1.5, 0],
    ],
  ],
  ['/v1/trial_balance', [['a', -1], ['a', 2 ** 60], [-1, 'a'], ['a', 0.5], ['a']]],
  ['/v1/transactions', [-1, 0, 0.5, 2 ** 60, 'a']],
  ['/v1/events', [-1, 0.5, 2 ** 60, 'a']],
  ['/v1/balances?group_by=segment', [[1, 'EUR'], ['a', null], ['a']]],
  ['/v1/accounts', [1, null, ['a']]],
])('a cursor of %s that ends where nothing can is refused', async (path, keys) => {
  const api = await aClientWith(0);
  for (const code of ['a', 'b']) await anAccount(api, { code });
  for (let count = 0; count < 2; count += 1) await aTransaction(api, { debit: 'a', credit: 'b' });
  const page = (query: string) => api.get(`${path}${path.includes('?') ? '&' : '?'}limit=1${query}`);
  const { next_cursor } = (await page('')).as(z.looseObject({ next_cursor: z.string() }));
  const [fingerprint] = JSON.parse(Buffer.from(next_cursor, 'base64url').toString());
  for (const key of keys) {
    const forged = Buffer.from(JSON.stringify([fingerprint, key])).toString('base64url');
    expect([key, refusal(await page(`&cursor=${forged}`))]).toEqual([
      key,
      '400 cursor_invalid #/query/cursor cursor_invalid',
    ]);
  }
});

test('a cursor of the trial balance at a position that the log has not reached is refused, also where no line is left', async () => {
  const api = await aClientWith(0);
  for (const code of ['a', 'b']) await anAccount(api, { code });
  await aTransaction(api, { debit: 'a', credit: 'b' });
  const { next_cursor } = (await api.get('/v1/trial_balance?limit=1')).as(
    z.looseObject({ next_cursor: z.string() }),
  );
  const [fingerprint] = JSON.parse(Buffer.from(next_cursor, 'base64url').toString());
  for (const code of ['', 'z']) {
    const forged = Buffer.from(JSON.stringify([fingerprint, [code, beyond]])).toString('base64url');
    expect(refusal(await api.get(`/v1/trial_balance?limit=1&cursor=${forged}`))).toBe(
      '400 invalid_request #/query/cursor position_ahead',
    );
  }
});

test('a cursor that was changed does not pass for another', async () => {
  const api = await aClientWith(2);
  const { next_cursor } = (await api.get('/v1/accounts?limit=1')).as(PageSchema);
  const [fingerprint] = z
    .tuple([z.string(), z.unknown()])
    .parse(JSON.parse(Buffer.from(next_cursor ?? '', 'base64url').toString()));
  const forged = Buffer.from(JSON.stringify([fingerprint, { $gt: '' }])).toString('base64url');
  expect(refusal(await api.get(`/v1/accounts?cursor=${forged}`))).toBe(
    '400 cursor_invalid #/query/cursor cursor_invalid',
  );
});

test('a cursor of one tenant shows another tenant only its own', async () => {
  const [one, two] = [await aClientWith(3), await aClientWith(3)];
  const { next_cursor } = (await one.get('/v1/accounts?limit=1')).as(PageSchema);
  const ids = async (api: typeof one, path: string) =>
    z
      .object({ data: z.array(z.looseObject({ id: z.string() })) })
      .parse((await api.get(path)).body)
      .data.map((row) => row.id);
  const foreign = await ids(two, `/v1/accounts?cursor=${next_cursor}`);
  expect(foreign).toEqual((await ids(two, '/v1/accounts')).slice(1));
});
