import { expect, test } from 'vitest';
import { z } from 'zod';
import type { Answer } from '../../support/client.ts';
import { aPlatformKey, aTenant } from '../../support/factories.ts';
import { startServer } from '../../support/server.ts';
import { refusal } from '../problems.ts';

const server = await startServer();

const AssetSchema = z.object({
  currency: z.string(),
  scale: z.number(),
  name: z.string(),
  created_at: z.string(),
});
const PageSchema = z.object({
  data: z.array(AssetSchema),
  has_more: z.boolean(),
  next_cursor: z.string().nullable(),
});

async function aClient() {
  return server.client((await aTenant()).api_key);
}

function outcome(answer: Answer): [number, string] {
  return [answer.status, z.looseObject({ code: z.string() }).parse(answer.body).code];
}

test('a registered asset is a currency like any other, with its own decimals', async () => {
  const api = await aClient();
  const asset = { currency: 'BTC', scale: 8, name: 'Bitcoin' };
  const created = (await api.post('/v1/assets', asset)).as(AssetSchema);
  expect(created).toEqual({ ...asset, created_at: expect.any(String) });
  expect((await api.get('/v1/assets/BTC')).body).toEqual(created);
  const account = await api.post('/v1/accounts', { code: 'wallet', type: 'liability', currency: 'BTC' });
  expect(account.body).toMatchObject({ currency: 'BTC', scale: 8 });
});

test('scales go from 0 to 18', async () => {
  const api = await aClient();
  for (const scale of [0, 18]) {
    const answer = await api.post('/v1/assets', { currency: `SCALE${scale}`, scale, name: 'x' });
    expect(answer.as(AssetSchema).scale).toBe(scale);
  }
  for (const scale of [-1, 19, 2.5, '2']) {
    const answer = await api.post('/v1/assets', { currency: 'NOSCALE', scale, name: 'x' });
    expect(outcome(answer), String(scale)).toEqual([400, 'invalid_request']);
  }
});

test('a code of ISO 4217, or one that the tenant has, is taken', async () => {
  const api = await aClient();
  for (const currency of ['EUR', 'XAU', 'BGN']) {
    const answer = await api.post('/v1/assets', { currency, scale: 2, name: 'x' });
    expect(refusal(answer), currency).toBe('409 asset_taken #/currency asset_taken');
  }
  await api.post('/v1/assets', { currency: 'POINTS', scale: 0, name: 'Points' });
  const again = await api.post('/v1/assets', { currency: 'POINTS', scale: 2, name: 'Other points' });
  expect(refusal(again)).toBe('409 asset_taken #/currency asset_taken');
});

test('a new tenant is told which of its assets has a code of ISO 4217', async () => {
  const assets = ['POINTS', 'EUR'].map((currency) => ({ currency, scale: 0, name: 'x' }));
  const tenant = { slug: 'taken', name: 'x', template: 'blank', currency: 'EUR', assets };
  const refused = await server.client(await aPlatformKey()).post('/v1/tenants', tenant);
  expect(refusal(refused)).toBe('409 asset_taken #/assets/1/currency asset_taken');
});

test('a code has 3 to 12 capital letters and digits, a letter first', async () => {
  const api = await aClient();
  for (const currency of ['AB', 'points', '978', 'A-B', 'ABCDEFGHIJKLM', 'ÄÖÜ']) {
    const answer = await api.post('/v1/assets', { currency, scale: 0, name: 'x' });
    expect(outcome(answer), currency).toEqual([400, 'invalid_request']);
  }
});

test('an account in a currency that nobody registered is refused', async () => {
  const api = await aClient();
  for (const currency of ['POINTS', 'XAU']) {
    const answer = await api.post('/v1/accounts', { code: 'x', type: 'asset', currency });
    expect(outcome(answer), currency).toEqual([422, 'currency_unknown']);
  }
});

test('assets are listed by code, page by page, and only those of the tenant', async () => {
  const [api, other] = [await aClient(), await aClient()];
  await other.post('/v1/assets', { currency: 'FOREIGN', scale: 0, name: 'x' });
  for (const currency of ['MILES', 'GOLD1', 'POINTS'])
    await api.post('/v1/assets', { currency, scale: 0, name: 'x' });
  const first = (await api.get('/v1/assets?limit=2')).as(PageSchema);
  expect(first.data.map(({ currency }) => currency)).toEqual(['GOLD1', 'MILES']);
  const second = (await api.get(`/v1/assets?limit=2&cursor=${first.next_cursor}`)).as(PageSchema);
  expect(second).toMatchObject({ data: [{ currency: 'POINTS' }], has_more: false, next_cursor: null });
  expect(outcome(await api.get('/v1/assets/FOREIGN'))).toEqual([404, 'not_found']);
  expect(outcome(await api.get('/v1/assets/MISSING'))).toEqual([404, 'not_found']);
});
