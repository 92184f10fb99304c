// POST and GET /v1/accounts: opening, finding and listing accounts.
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { decodeId } from '../../../src/id.ts';
import type { Client } from '../../support/client.ts';
import { anAccount, aTenant } from '../../support/factories.ts';
import { startServer } from '../../support/server.ts';
import { refusal } from '../problems.ts';

const CodesSchema = z.object({
  data: z.array(z.looseObject({ code: z.string() })).transform((rows) => rows.map(({ code }) => code)),
  has_more: z.boolean(),
  next_cursor: z.string().nullable(),
});

const server = await startServer();

async function tenant(): Promise<Client> {
  return server.client((await aTenant()).api_key);
}

async function codes(api: Client, query: string): Promise<string[]> {
  return (await api.get(`/v1/accounts?${query}`)).as(CodesSchema).data;
}

const alice = { code: 'customers:alice', type: 'liability', currency: 'EUR' };

describe('opening', () => {
  test('an account is answered whole, and read back the same by id and by code', async () => {
    const api = await tenant();
    const opened = await api.post('/v1/accounts', {
      ...alice,
      name: 'Alice',
      limits: { available_min: '-500', posted_max: '0' },
      metadata: { zone: 'eu', customer: 'c_1' },
    });
    expect(opened.status).toBe(201);
    expect(opened.body).toEqual({
      id: expect.stringMatching(/^acc_/),
      code: 'customers:alice',
      name: 'Alice',
      type: 'liability',
      normal_side: 'credit',
      currency: 'EUR',
      scale: 2,
      limits: { available_min: '-500', posted_max: '0' },
      status: 'open',
      metadata: { customer: 'c_1', zone: 'eu' },
      created_at: expect.stringMatching(/Z$/),
    });
    const { id } = opened.as(z.looseObject({ id: z.string() }));
    for (const reference of [id, 'customers:alice']) {
      const read = await api.get(`/v1/accounts/${reference}`);
      expect(read.text).toBe(opened.text);
      expect(read.headers.get('etag')).toBe(opened.headers.get('etag'));
    }
  });

  test.each([
    ['asset', 'debit'],
    ['expense', 'debit'],
    ['liability', 'credit'],
    ['equity', 'credit'],
    ['revenue', 'credit'],
  ])('the normal side of %s is %s', async (type, normal_side) => {
    const api = await tenant();
    expect(await anAccount(api, { type })).toMatchObject({ normal_side });
  });

  test.each([
    ['JPY', 0],
    ['BHD', 3],
    ['CLF', 4],
  ])('%s has %i decimals', async (currency, scale) => {
    const api = await tenant();
    expect(await anAccount(api, { currency })).toMatchObject({ currency, scale });
  });

  test('a code is taken once in a tenant, and free in every other', async () => {
    const [api, other] = [await tenant(), await tenant()];
    await api.post('/v1/accounts', alice);
    expect((await api.post('/v1/accounts', alice)).body).toMatchObject({
      code: 'account_code_taken',
      status: 409,
      errors: [{ pointer: '#/code', code: 'account_code_taken' }],
    });
    expect((await other.post('/v1/accounts', alice)).status).toBe(201);
  });

  test('a refused account leaves nothing in the log', async () => {
    const api = await tenant();
    await api.post('/v1/accounts', alice);
    const before = (await api.get('/v1/events')).text;
    await api.post('/v1/accounts', alice);
    expect((await api.get('/v1/events')).text).toBe(before);
  });

  test('a currency that nobody knows is refused', async () => {
    const api = await tenant();
    expect((await api.post('/v1/accounts', { ...alice, currency: 'ZZZ' })).body).toMatchObject({
      code: 'currency_unknown',
      errors: [{ pointer: '#/currency' }],
    });
  });

  test.each([
    ['an empty segment', { code: 'customers::alice' }, '#/code'],
    ['a space', { code: 'customers alice' }, '#/code'],
    ['a code of 256 characters', { code: 'a'.repeat(256) }, '#/code'],
    ['a dot for a code', { code: '.' }, '#/code'],
    ['two dots for a code', { code: '..' }, '#/code'],
    ['a code that reads as an id', { code: 'txn_01h455vb4pex5vsknk084sn02q' }, '#/code'],
    ['a type of our own', { type: 'wallet' }, '#/type'],
    ['a number as a limit', { limits: { available_min: 0 } }, '#/limits/available_min'],
    ['a limit of 39 digits', { limits: { posted_max: '1'.repeat(39) } }, '#/limits/posted_max'],
    ['a limit that is none', { limits: { overdraft: '0' } }, '#/limits/overdraft'],
    ['metadata that is not text', { metadata: { order: 1 } }, '#/metadata/order'],
    ['a field of another thing', { balance: '0' }, '#/balance'],
  ])('%s is refused with a pointer to it', async (_, wrong, pointer) => {
    const api = await tenant();
    const answer = await api.post('/v1/accounts', { ...alice, ...wrong });
    expect(answer.body).toMatchObject({ code: 'invalid_request', status: 400, errors: [{ pointer }] });
    expect(await codes(api, '')).toEqual([]);
  });

  test('the same key answers the same account, once', async () => {
    const api = await tenant();
    const first = await api.post('/v1/accounts', alice, { key: 'k' });
    const second = await api.post('/v1/accounts', alice, { key: 'k' });
    expect(second.text).toBe(first.text);
    expect(second.headers.get('idempotent-replayed')).toBe('true');
    expect(await codes(api, '')).toEqual(['customers:alice']);
  });
});

describe('finding', () => {
  test('a bare uuid names no account, wherever one is named', async () => {
    const api = await tenant();
    await anAccount(api, { code: 'a' });
    const { id } = await anAccount(api, { code: 'b' });
    const uuid = decodeId('account', id, '#');
    const entries = [
      { account: 'a', direction: 'debit', amount: '1' },
      { account: uuid, direction: 'credit', amount: '1' },
    ];
    expect(refusal(await api.post('/v1/transactions', { entries }))).toBe(
      '422 account_not_found #/entries/1/account account_not_found',
    );
    const paths = [
      ...['', '/balance', '/entries'].map((rest) => `/v1/accounts/${uuid}${rest}`),
      ...['transactions', 'events', 'balances/daily'].map((list) => `/v1/${list}?account=${uuid}`),
      `/v1/balances/stream?accounts=${uuid}`,
    ];
    for (const path of paths) expect([path, (await api.get(path)).status]).toEqual([path, 404]);
  });

  test('an account of another tenant is not found, in the same words as one that never was', async () => {
    const [api, other] = [await tenant(), await tenant()];
    const { id } = await anAccount(other, alice);
    const foreign = await api.get(`/v1/accounts/${id}`);
    const missing = await api.get('/v1/accounts/acc_01h455vb4pex5vsknk084sn02q');
    const plain = (text: string) => text.replaceAll(/acc_\w+|"request_id":"[^"]*"/g, '');
    expect(foreign.status).toBe(404);
    expect(plain(foreign.text)).toBe(plain(missing.text));
    expect((await api.get('/v1/accounts/customers:alice')).status).toBe(404);
  });

  test('an id of something else is refused and the expected prefix named', async () => {
    const api = await tenant();
    expect((await api.get('/v1/accounts/txn_01h455vb4pex5vsknk084sn02q')).body).toMatchObject({
      code: 'invalid_request',
      errors: [{ detail: expect.stringContaining('acc_') }],
    });
  });
});

describe('listing', () => {
  test('goes in the order of codes, page by page, and nothing is missed or doubled', async () => {
    const api = await tenant();
    const all = ['a', 'a-b', 'a:b', 'a:b:c', 'a_b', 'aa', 'B', 'b:a'].sort();
    for (const code of all) await anAccount(api, { code });
    const found: string[] = [];
    let cursor = '';
    for (;;) {
      const page = (await api.get(`/v1/accounts?limit=3${cursor}`)).as(CodesSchema);
      found.push(...page.data);
      expect(page.has_more).toBe(page.next_cursor !== null);
      if (page.next_cursor === null) break;
      cursor = `&cursor=${page.next_cursor}`;
    }
    expect(found).toEqual(all);
  });

  test('code_prefix walks the tree', async () => {
    const api = await tenant();
    for (const code of ['customers', 'customers:a', 'customers:a:x', 'customersx', 'c'])
      await anAccount(api, { code });
    expect(await codes(api, 'code_prefix=customers:')).toEqual(['customers:a', 'customers:a:x']);
    expect(await codes(api, 'code_prefix=customers')).toEqual([
      'customers',
      'customers:a',
      'customers:a:x',
      'customersx',
    ]);
    expect(await codes(api, 'code_prefix=d')).toEqual([]);
  });

  test('filters by type, currency, status and metadata hold together', async () => {
    const api = await tenant();
    await anAccount(api, { code: 'a', type: 'asset', metadata: { region: 'eu', tier: '1' } });
    await anAccount(api, { code: 'b', currency: 'USD', metadata: { region: 'eu', tier: '2' } });
    await anAccount(api, { code: 'c', metadata: { region: 'us' } });
    await api.post('/v1/accounts/c/closure');
    expect(await codes(api, 'type=asset')).toEqual(['a']);
    expect(await codes(api, 'currency=USD')).toEqual(['b']);
    expect(await codes(api, 'status=closed')).toEqual(['c']);
    expect(await codes(api, 'metadata[region]=eu')).toEqual(['a', 'b']);
    expect(await codes(api, 'metadata[region]=eu&metadata[tier]=2')).toEqual(['b']);
    expect(await codes(api, 'metadata[region]=eu&type=asset&code_prefix=b')).toEqual([]);
  });

  test('a metadata filter sees accounts as they are now', async () => {
    const api = await tenant();
    await anAccount(api, { code: 'a', metadata: { region: 'eu' } });
    await api.patch('/v1/accounts/a', { metadata: { region: 'us' } });
    expect(await codes(api, 'metadata[region]=eu')).toEqual([]);
    expect(await codes(api, 'metadata[region]=us')).toEqual(['a']);
    await api.patch('/v1/accounts/a', { metadata: { region: 'eu' } });
    expect(await codes(api, 'metadata[region]=eu')).toEqual(['a']);
  });

  test('a cursor of other filters is refused', async () => {
    const api = await tenant();
    for (const code of ['a', 'b']) await anAccount(api, { code });
    const { next_cursor } = (await api.get('/v1/accounts?limit=1')).as(CodesSchema);
    const answer = await api.get(`/v1/accounts?limit=1&type=asset&cursor=${next_cursor}`);
    expect(answer.body).toMatchObject({ code: 'cursor_mismatch' });
  });
});
