import { expect, test } from 'vitest';
import { z } from 'zod';
import { anAccount, aTenant, aTransaction, type TestTenant } from '../../support/factories.ts';
import { startServer } from '../../support/server.ts';
import { TestStream } from '../../support/stream.ts';
import { waitFor } from '../../support/wait.ts';

const server = await startServer();
const path = '/v1/balances/stream';

const StateSchema = z.object({
  position: z.number(),
  balances: z
    .array(
      z.object({
        account_id: z.string(),
        account_code: z.string(),
        currency: z.string(),
        scale: z.number(),
        posted: z.object({ debits: z.string(), credits: z.string(), balance: z.string() }),
        pending: z.object({ out: z.string(), in: z.string() }),
        available: z.string(),
      }),
    )
    .optional(),
  roll_ups: z.array(z.looseObject({ group: z.string(), available: z.string() })).optional(),
});

async function aBusyTenant() {
  const tenant = await aTenant();
  const api = server.client(tenant.api_key);
  const alice = await anAccount(api, { code: 'customers:alice' });
  const bob = await anAccount(api, { code: 'customers:bob' });
  const cash = await anAccount(api, { code: 'assets:cash', type: 'asset' });
  const pay = (credit: string, amount: string, rest: Record<string, unknown> = {}) =>
    aTransaction(api, { debit: cash.id, credit, amount, ...rest });
  return { tenant, api, alice, bob, cash, pay };
}

function open(tenant: TestTenant, query: string): Promise<TestStream> {
  return TestStream.open(`${server.url}${path}${query}`, { api_key: tenant.api_key });
}

function states(stream: TestStream) {
  return stream.events.map(({ data }) => StateSchema.parse(JSON.parse(data ?? '')));
}

function availables(stream: TestStream): Record<string, string> | undefined {
  const { balances, roll_ups } = states(stream).at(-1) ?? {};
  const pairs = balances?.map((each) => [each.account_code, each.available]);
  return Object.fromEntries(pairs ?? roll_ups?.map((each) => [each.group, each.available]) ?? []);
}

test('the balances of some accounts come as they are, and again when one changes', async () => {
  const { tenant, api, alice, bob, cash, pay } = await aBusyTenant();
  const before = await pay(alice.id, '1000');
  const stream = await open(tenant, `?accounts=${alice.id},customers:bob,customers:alice`);
  await stream.count(1);
  expect(states(stream)[0]).toEqual({
    position: before.position,
    balances: [
      {
        account_id: alice.id,
        account_code: 'customers:alice',
        currency: 'EUR',
        scale: 2,
        posted: { debits: '0', credits: '1000', balance: '1000' },
        pending: { out: '0', in: '0' },
        available: '1000',
      },
      {
        account_id: bob.id,
        account_code: 'customers:bob',
        currency: 'EUR',
        scale: 2,
        posted: { debits: '0', credits: '0', balance: '0' },
        pending: { out: '0', in: '0' },
        available: '0',
      },
    ],
  });
  const paid = await pay(bob.id, '250');
  await stream.count(2);
  expect(states(stream)[1]?.position).toBe(paid.position);
  expect(availables(stream)).toEqual({ 'customers:alice': '1000', 'customers:bob': '250' });
  const hold = await aTransaction(api, { debit: bob.id, credit: cash.id, amount: '50', status: 'pending' });
  await stream.count(3);
  expect(availables(stream)).toEqual({ 'customers:alice': '1000', 'customers:bob': '200' });
  await api.post(`/v1/transactions/${hold.id}/void`);
  await stream.count(4);
  expect(availables(stream)).toEqual({ 'customers:alice': '1000', 'customers:bob': '250' });
  await stream.close();
});

test('what does not change them is no news', async () => {
  const { tenant, api, alice, bob, cash, pay } = await aBusyTenant();
  const stream = await open(tenant, '?accounts=customers:alice');
  await stream.count(1);
  await pay(bob.id, '1');
  await aTransaction(api, { debit: cash.id, credit: bob.id });
  await api.patch(`/v1/accounts/${alice.id}`, { name: 'Alice' });
  const last = await pay(alice.id, '7');
  await stream.count(2);
  expect(states(stream).map(({ position }) => position)).toEqual([expect.any(Number), last.position]);
  await stream.close();
});

test('however much happens, there are at most ten states in a second, and the last one is exact', async () => {
  const { tenant, alice, pay } = await aBusyTenant();
  const stream = await open(tenant, '?accounts=customers:alice');
  await stream.count(1);
  const began_ms = performance.now();
  for (let round = 0; round < 25; round += 1) {
    await Promise.all(Array.from({ length: 20 }, () => pay(alice.id, '1')));
  }
  const elapsed_ms = performance.now() - began_ms;
  await waitFor('the last state has come', () => availables(stream)?.['customers:alice'] === '500');
  expect(stream.events.length).toBeLessThanOrEqual(elapsed_ms / 100 + 3);
  const positions = states(stream).map(({ position }) => position);
  expect(positions).toEqual(positions.toSorted((a, b) => a - b));
  await stream.close();
});

test('those who follow the same share it, and each gets the state first', async () => {
  const { tenant, alice, pay } = await aBusyTenant();
  const first = await open(tenant, '?accounts=customers:alice');
  await first.count(1);
  await pay(alice.id, '5');
  await first.count(2);
  const second = await open(tenant, `?accounts=${alice.id}`);
  await second.count(1);
  expect(states(second)).toEqual(states(first).slice(1));
  await first.close();
  await pay(alice.id, '6');
  await second.count(2);
  expect(availables(second)).toEqual({ 'customers:alice': '11' });
  await second.close();
});

test('below a prefix they come rolled up', async () => {
  const { tenant, alice, bob, pay } = await aBusyTenant();
  const [by_currency, by_segment] = await Promise.all([
    open(tenant, '?code_prefix=customers:'),
    open(tenant, '?code_prefix=customers:&group_by=segment'),
  ]);
  await Promise.all([by_currency.count(1), by_segment.count(1)]);
  await pay(alice.id, '10');
  await pay(bob.id, '20');
  await waitFor('the sums have come', () => availables(by_currency)?.EUR === '30');
  await waitFor('both have come', () => availables(by_segment)?.['customers:bob'] === '20');
  expect(availables(by_segment)).toEqual({ 'customers:alice': '10', 'customers:bob': '20' });
  await Promise.all([by_currency.close(), by_segment.close()]);
});

test('a hold that expires gives back what it held, with or without an event', async () => {
  const { tenant, api, alice, cash, pay } = await aBusyTenant();
  await pay(alice.id, '100');
  const stream = await open(tenant, '?accounts=customers:alice');
  await stream.count(1);
  const hold = { debit: alice.id, credit: cash.id, amount: '40', status: 'pending', expires_in_seconds: 3 };
  await aTransaction(api, hold);
  await waitFor('it is held', () => availables(stream)?.['customers:alice'] === '60');
  await waitFor('it is given back', () => availables(stream)?.['customers:alice'] === '100');
  await stream.close();
});

test('what cannot be followed is refused', async () => {
  const { tenant } = await aBusyTenant();
  const refusals = [];
  const many = Array.from({ length: 51 }, (_, index) => `customers:${index}`).join();
  const queries = [
    '',
    '?accounts=a&code_prefix=b',
    '?accounts=customers:alice&group_by=type',
    '?accounts=customers:nobody',
    `?accounts=${many}`,
  ];
  for (const query of queries) {
    const stream = await open(tenant, query);
    await stream.ended;
    refusals.push([stream.status, z.looseObject({ code: z.string() }).parse(JSON.parse(stream.text)).code]);
  }
  expect(refusals).toEqual([
    [400, 'invalid_request'],
    [400, 'invalid_request'],
    [400, 'invalid_request'],
    [404, 'not_found'],
    [400, 'invalid_request'],
  ]);
});
