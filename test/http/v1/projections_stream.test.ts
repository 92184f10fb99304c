// GET /v1/projections/{projection}/stream: each projection in short, as it moves.
import { expect, test } from 'vitest';
import { z } from 'zod';
import { projections } from '../../../src/modules/projections/manifest.ts';
import { asSuperuser } from '../../support/database.ts';
import { startServer } from '../../support/server.ts';
import { TestStream } from '../../support/stream.ts';
import { waitFor } from '../../support/wait.ts';
import { aShop } from '../shop.ts';

const server = await startServer();

const StateSchema = z.object({
  position: z.number(),
  projection: z.string(),
  version: z.number(),
  lag_events: z.number(),
  data: z.array(z.looseObject({})),
});

const statesOf = (stream: TestStream) =>
  stream.events.map(({ data }) => StateSchema.parse(JSON.parse(data ?? '')));

async function open(shop: Awaited<ReturnType<typeof aShop>>, name: string) {
  const { api_key } = shop.tenant;
  const stream = await TestStream.open(`${server.url}/v1/projections/${name}/stream`, { api_key });
  /** What it says at the position that the shop has come to. */
  const latest = () =>
    waitFor(`${name} has come to the last position`, () =>
      statesOf(stream).find(({ position, lag_events }) => position === shop.at() && lag_events === 0),
    );
  return { stream, latest };
}

test('activity of several types of account is one message', async () => {
  const shop = await aShop(server);
  await shop.post('assets:bank', 'revenue:sales', '7', {});
  const { stream, latest } = await open(shop, 'reports');
  expect((await latest()).data.map(({ account_type }) => account_type).sort()).toEqual(['asset', 'revenue']);
  await stream.close();
});

test('each projection is followed as it moves, and says in short what it holds', async () => {
  const shop = await aShop(server);
  const names = projections.map(({ name }) => name);
  const streams = new Map(
    await Promise.all(names.map(async (name) => [name, await open(shop, name)] as const)),
  );
  for (const { stream } of streams.values()) await stream.count(1);
  await shop.raise('5', { invoice: 'inv_1' });
  await shop.pay('2', { invoice: 'inv_1' });
  await shop.post('assets:bank', 'revenue:sales', '7', {
    status: 'pending',
    effective_at: '2026-01-10T23:59:59Z',
  });
  const said = new Map<string, unknown>();
  for (const [name, { latest }] of streams) said.set(name, (await latest()).data);
  const [{ today } = { today: '' }] = await asSuperuser(
    z.object({ today: z.string() }),
    'select max(recorded_at)::date::text as today from ledger.entry where tenant_id = $1',
    [shop.tenant.id],
  );
  const sums = (
    posted_debits: string,
    posted_credits: string,
    pending_debits: string,
    pending_credits: string,
  ) => ({
    ...{ posted_debits, posted_credits, pending_debits, pending_credits },
  });
  const money = { currency: 'EUR', scale: 2 };
  expect(said.get('balances')).toHaveLength(3);
  expect(said.get('balances')).toEqual(
    expect.arrayContaining([
      { account_code: 'assets:bank', type: 'asset', ...money, ...sums('2', '0', '7', '0') },
      { account_code: 'revenue:sales', type: 'revenue', ...money, ...sums('0', '5', '0', '7') },
      { account_code: 'receivables:customers', type: 'asset', ...money, ...sums('5', '2', '0', '0') },
    ]),
  );
  const day = (account_code: string, effective_on: string, rest: object) => ({
    ...{ account_code, effective_on, recorded_on: today, ...money, ...rest },
  });
  expect(said.get('balances_daily')).toHaveLength(5);
  expect(said.get('balances_daily')).toEqual(
    expect.arrayContaining([
      day('assets:bank', '2026-01-10', sums('0', '0', '7', '0')),
      day('revenue:sales', '2026-01-10', sums('0', '5', '0', '7')),
      day('assets:bank', '2026-02-10', sums('2', '0', '0', '0')),
      day('receivables:customers', '2026-02-10', sums('0', '2', '0', '0')),
      day('receivables:customers', '2026-01-10', sums('5', '0', '0', '0')),
    ]),
  );
  expect(said.get('invoices')).toEqual([{ ...money, invoice_count: 1, due: '3', overpaid: '0' }]);
  for (const { stream } of streams.values()) await stream.close();
});

test('however many accounts have moved, a state is that of the fifty that moved last', async () => {
  const shop = await aShop(server);
  const codes = Array.from({ length: 60 }, (_, index) => `customers:${String(index).padStart(2, '0')}`);
  for (const code of codes) await shop.api.post('/v1/accounts', { code, type: 'liability', currency: 'EUR' });
  for (const code of codes) await shop.post('assets:bank', code, '1', {});
  const wanted = ['assets:bank', ...codes.toReversed().slice(0, 49)];
  for (const name of ['balances', 'balances_daily']) {
    const { stream, latest } = await open(shop, name);
    const { data } = await latest();
    expect(data.map(({ account_code }) => account_code).sort()).toEqual(wanted.toSorted());
    expect(data[0]).toMatchObject({ posted_debits: expect.stringMatching(/^(0|60)$/) });
    await stream.close();
  }
});

test('a projection that is not there is a 404', async () => {
  const { api } = await aShop(server);
  const missing = await api.get('/v1/projections/nothing/stream');
  expect([missing.status, missing.body]).toEqual([404, expect.objectContaining({ code: 'not_found' })]);
});
