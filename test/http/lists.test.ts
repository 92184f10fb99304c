// Every list pages by opaque cursors that belong to its filters.
import { expect, test } from 'vitest';
import { z } from 'zod';
import { anAccount, aTenant } from '../support/factories.ts';
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
