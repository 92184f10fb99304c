// Instants on the wire: one moment in UTC may come as Z or as +00:00, and is Z from then on.
import { expect, test } from 'vitest';
import { z } from 'zod';
import { maybeInstant } from '../../src/instant.ts';
import { anAccount, aTenant } from '../support/factories.ts';
import { startServer } from '../support/server.ts';
import { refusal } from './problems.ts';

const server = await startServer();

const FoundSchema = z.looseObject({ data: z.array(z.looseObject({ id: z.string() })) });

async function books() {
  const api = server.client((await aTenant()).api_key);
  await anAccount(api, { code: 'cash', type: 'asset' });
  await anAccount(api, { code: 'customers:alice' });
  const entries = [
    { account: 'cash', direction: 'debit', amount: '1' },
    { account: 'customers:alice', direction: 'credit', amount: '1' },
  ];
  return { api, entries };
}

test.each([
  ['2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z'],
  ['2026-01-01T00:00:00+00:00', '2026-01-01T00:00:00Z'],
  ['2026-01-01T00:00:00.120000+00:00', '2026-01-01T00:00:00.12Z'],
  ['2026-01-01T00:00:00.000000+00:00', '2026-01-01T00:00:00Z'],
  ['2026-01-01T00:00:00+01:00', null],
  ['2026-01-01T00:00:00-00:00', null],
  ['2026-01-01T00:00:00+0000', null],
  ['2026-01-01T00:00:00+00', null],
  ['2026-01-01T00:00:00 00:00', null],
  ['2026-01-01T00:00:00Z+00:00', null],
  ['2026-01-01T00:00:00', null],
  ['2026-02-30T00:00:00+00:00', null],
])('%s is %s', (text, instant) => {
  expect(maybeInstant(text)).toBe(instant);
});

test('a posting that says +00:00 is answered, stored, listed and compared as Z', async () => {
  const { api, entries } = await books();
  const posted = await api.post('/v1/transactions', {
    entries,
    status: 'pending',
    effective_at: '2026-01-01T09:00:00.500000+00:00',
    expires_at: '2099-01-01T00:00:00+00:00',
  });
  const { id } = posted.as(z.looseObject({ id: z.string() }));
  expect(posted.body).toMatchObject({
    effective_at: '2026-01-01T09:00:00.5Z',
    expires_at: '2099-01-01T00:00:00Z',
  });
  expect((await api.get(`/v1/transactions/${id}`)).body).toEqual(posted.body);
  const bulk = await api.post('/v1/transactions/bulk', {
    transactions: [{ entries, effective_at: '2026-01-01T10:00:00+00:00' }],
  });
  expect(bulk.body).toMatchObject({
    results: [{ transaction: { effective_at: '2026-01-01T10:00:00Z' } }],
  });
  expect((await api.get('/v1/events')).text).not.toContain('+00:00');

  const listed = async (from: string) =>
    (await api.get(`/v1/transactions?effective_at[lte]=${encodeURIComponent(from)}`)).as(FoundSchema).data;
  expect(await listed('2026-01-01T09:00:00.5+00:00')).toEqual(await listed('2026-01-01T09:00:00.5Z'));
  expect((await listed('2026-01-01T09:00:00.5+00:00')).map((each) => each.id)).toEqual([id]);
});

test('the time axes of a balance take it, and answer Z', async () => {
  const { api } = await books();
  const path = '/v1/accounts/cash/balance';
  const [python, ours] = ['2026-01-01T00:00:00+00:00', '2026-01-01T00:00:00Z'];
  const query = new URLSearchParams({ as_of: python, known_at: python });
  const balance = await api.get(`${path}?${query}`);
  expect(balance.body).toMatchObject({ as_of: ours, known_at: ours });
  expect(balance.text).toBe((await api.get(`${path}?as_of=${ours}&known_at=${ours}`)).text);
});

test('another offset is refused with what would do, and so is a + that a URL has made a space', async () => {
  const { api, entries } = await books();
  const offset = '2026-01-01T09:00:00+01:00';
  const refused = await api.post('/v1/transactions', { entries, effective_at: offset });
  expect(refusal(refused)).toBe('400 invalid_request #/effective_at invalid_value');
  expect(refused.body).toMatchObject({ detail: expect.stringContaining('in UTC, Z or +00:00') });
  const spaced = await api.get('/v1/accounts/cash/balance?as_of=2026-01-01T00:00:00+00:00');
  expect(refusal(spaced)).toBe('400 invalid_request #/query/as_of invalid_value');
  expect(spaced.body).toMatchObject({ detail: expect.stringContaining('%2B00:00') });
  const expiry = await api.post('/v1/keys', { name: 'Till', role: 'auditor', expires_at: offset });
  expect(refusal(expiry)).toBe('400 invalid_request #/expires_at invalid_value');
});
