// PATCH /v1/accounts/{account}, closure and reopening.
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { Client } from '../../support/client.ts';
import { anAccount, aTenant, aTransaction } from '../../support/factories.ts';
import { startServer } from '../../support/server.ts';

const server = await startServer();

async function tenant(): Promise<Client> {
  return server.client((await aTenant()).api_key);
}

const alice = { code: 'customers:alice', type: 'liability', currency: 'EUR' };

describe('changing', () => {
  test('a patch changes what it names, null removes, the rest stays', async () => {
    const api = await tenant();
    await anAccount(api, {
      ...alice,
      name: 'Alice',
      limits: { available_min: '0', posted_max: '10' },
      metadata: { a: '1', b: '2' },
    });
    const patched = await api.patch('/v1/accounts/customers:alice', {
      limits: { available_min: null },
      metadata: { a: null, c: '3' },
    });
    expect(patched.body).toMatchObject({
      name: 'Alice',
      limits: { posted_max: '10' },
      metadata: { b: '2', c: '3' },
    });
    expect((await api.get('/v1/accounts/customers:alice')).text).toBe(patched.text);
    expect((await api.patch('/v1/accounts/customers:alice', { name: null })).body).toMatchObject({
      name: null,
    });
  });

  test('code, type and currency never change', async () => {
    const api = await tenant();
    await anAccount(api, alice);
    for (const field of ['code', 'type', 'currency'] as const) {
      const answer = await api.patch('/v1/accounts/customers:alice', { [field]: alice[field] });
      expect(answer.body).toMatchObject({ code: 'invalid_request', errors: [{ pointer: `#/${field}` }] });
    }
  });

  test('of two changes made to the same state, with If-Match one is refused', async () => {
    const api = await tenant();
    await anAccount(api, alice);
    const etag = (await api.get('/v1/accounts/customers:alice')).headers.get('etag') ?? 'none';
    const change = (name: string) =>
      api.patch('/v1/accounts/customers:alice', { name }, { headers: { 'If-Match': etag } });
    const answers = await Promise.all([change('A'), change('B')]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 412]);
  });

  test('changes made at once to different fields are all kept', async () => {
    const api = await tenant();
    await anAccount(api, alice);
    const keys = ['a', 'b', 'c', 'd', 'e', 'f'];
    await Promise.all(
      keys.map((key) => api.patch('/v1/accounts/customers:alice', { metadata: { [key]: 'x' } })),
    );
    expect((await api.get('/v1/accounts/customers:alice')).body).toMatchObject({
      metadata: Object.fromEntries(keys.map((key) => [key, 'x'])),
    });
  });

  test('a new limit binds the next posting', async () => {
    const api = await tenant();
    await anAccount(api, alice);
    await anAccount(api, { code: 'cash', type: 'asset' });
    await aTransaction(api, { debit: 'customers:alice', credit: 'cash', amount: '5' });
    await api.patch('/v1/accounts/customers:alice', { limits: { available_min: '-5' } });
    const answer = await api.post('/v1/transactions', {
      entries: [
        { account: 'customers:alice', direction: 'debit', amount: '1' },
        { account: 'cash', direction: 'credit', amount: '1' },
      ],
    });
    expect(answer.body).toMatchObject({ code: 'insufficient_funds' });
  });

  test('a patch that changes nothing adds nothing to the log', async () => {
    const api = await tenant();
    await anAccount(api, { ...alice, name: 'Alice' });
    const before = (await api.get('/v1/events')).text;
    expect((await api.patch('/v1/accounts/customers:alice', { name: 'Alice' })).status).toBe(200);
    expect((await api.get('/v1/events')).text).toBe(before);
  });

  test('metadata has at most 50 keys, whoever set them', async () => {
    const api = await tenant();
    const fifty = Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`k${index}`, 'v']));
    await anAccount(api, { ...alice, metadata: fifty });
    const more = await api.patch('/v1/accounts/customers:alice', { metadata: { one_more: 'v' } });
    expect(more.body).toMatchObject({ code: 'invalid_request', errors: [{ pointer: '#/metadata' }] });
    const swapped = await api.patch('/v1/accounts/customers:alice', {
      metadata: { one_more: 'v', k0: null },
    });
    expect(swapped.status).toBe(200);
  });
});

describe('closing', () => {
  test('a closed account refuses postings and holds until it is reopened', async () => {
    const api = await tenant();
    await anAccount(api, alice);
    await anAccount(api, { code: 'cash', type: 'asset' });
    const move = { debit: 'cash', credit: 'customers:alice', amount: '5' };
    await aTransaction(api, move);
    expect((await api.post('/v1/accounts/customers:alice/closure')).body).toMatchObject({ status: 'closed' });
    const entries = [
      { account: 'cash', direction: 'debit', amount: '5' },
      { account: 'customers:alice', direction: 'credit', amount: '5' },
    ];
    for (const status of ['posted', 'pending']) {
      const refused = await api.post('/v1/transactions', { entries, status });
      expect(refused.body).toMatchObject({
        code: 'account_closed',
        errors: [{ pointer: '#/entries/1/account' }],
      });
    }
    expect((await api.post('/v1/accounts/customers:alice/reopening')).body).toMatchObject({ status: 'open' });
    await aTransaction(api, move);
  });

  test('closing twice and reopening twice are refused', async () => {
    const api = await tenant();
    await anAccount(api, alice);
    const closure = () => api.post('/v1/accounts/customers:alice/closure');
    const reopening = () => api.post('/v1/accounts/customers:alice/reopening');
    expect((await reopening()).body).toMatchObject({ code: 'account_not_closed', status: 409 });
    expect((await closure()).status).toBe(200);
    expect((await closure()).body).toMatchObject({ code: 'account_not_open', status: 409 });
    expect((await reopening()).status).toBe(200);
  });

  test('each change is one event, with the account as it is from then on', async () => {
    const api = await tenant();
    await anAccount(api, alice);
    await api.patch('/v1/accounts/customers:alice', { name: 'Alice' });
    await api.post('/v1/accounts/customers:alice/closure');
    await api.post('/v1/accounts/customers:alice/reopening');
    const EventsSchema = z.object({
      data: z.array(
        z.looseObject({ type: z.string(), data: z.looseObject({ name: z.unknown(), status: z.unknown() }) }),
      ),
    });
    const events = (
      await api.get(
        '/v1/events?types=ledger.account_created,ledger.account_updated,ledger.account_closed,ledger.account_reopened',
      )
    ).as(EventsSchema);
    expect(events.data.map(({ type, data }) => [type, data.name, data.status])).toEqual([
      ['ledger.account_created', null, 'open'],
      ['ledger.account_updated', 'Alice', 'open'],
      ['ledger.account_closed', 'Alice', 'closed'],
      ['ledger.account_reopened', 'Alice', 'open'],
    ]);
  });
});
