// GET /v1/balances and GET /v1/trial_balance: sums over accounts, exact now and at any instant, as pages and as CSV.
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { randomBooks } from '../../modules/ledger/random_books.ts';
import type { Client } from '../../support/client.ts';
import { anAccount, aTenant, aTransaction } from '../../support/factories.ts';
import { startServer } from '../../support/server.ts';

const server = await startServer();

const RollUpSchema = z.object({
  group: z.string(),
  currency: z.string(),
  scale: z.number(),
  account_count: z.number(),
  normal_side: z.string(),
  posted: z.object({ debits: z.string(), credits: z.string(), balance: z.string() }),
  pending: z.object({ out: z.string(), in: z.string() }),
  available: z.string(),
  position: z.number(),
});
const RollUpPageSchema = z.object({
  data: z.array(RollUpSchema),
  has_more: z.boolean(),
  next_cursor: z.string().nullable(),
  position: z.number(),
  as_of: z.string().nullable(),
  known_at: z.union([z.string(), z.number()]).nullable(),
});
const TrialBalanceSchema = z.object({
  position: z.number(),
  as_of: z.string().nullable(),
  known_at: z.union([z.string(), z.number()]).nullable(),
  totals: z
    .array(z.object({ currency: z.string(), scale: z.number(), debits: z.string(), credits: z.string() }))
    .nullable(),
  data: z.array(
    z.object({
      account_id: z.string(),
      code: z.string(),
      type: z.string(),
      currency: z.string(),
      scale: z.number(),
      debit: z.string(),
      credit: z.string(),
    }),
  ),
  has_more: z.boolean(),
  next_cursor: z.string().nullable(),
});

/** A small chart with money in it. */
async function books(): Promise<Client> {
  const api = server.client((await aTenant()).api_key);
  await anAccount(api, { code: 'cash', type: 'asset' });
  await anAccount(api, { code: 'cash:usd', type: 'asset', currency: 'USD' });
  for (const code of ['customers:de:a', 'customers:de:b', 'customers:fr', 'customers:fr:c'])
    await anAccount(api, { code });
  await anAccount(api, { code: 'customers:us:d', currency: 'USD' });
  await aTransaction(api, { debit: 'cash', credit: 'customers:de:a', amount: '100' });
  await aTransaction(api, { debit: 'cash', credit: 'customers:de:b', amount: '20' });
  await aTransaction(api, { debit: 'cash', credit: 'customers:fr:c', amount: '3' });
  await aTransaction(api, { debit: 'cash:usd', credit: 'customers:us:d', amount: '7' });
  await aTransaction(api, { debit: 'customers:de:a', credit: 'cash', amount: '40', status: 'pending' });
  return api;
}

async function rollUps(api: Client, query: Record<string, string>) {
  const answer = await api.get(`/v1/balances?${new URLSearchParams(query)}`);
  return answer.as(RollUpPageSchema);
}

async function groups(api: Client, query: Record<string, string>) {
  const { data } = await rollUps(api, query);
  return data.map((each) => [
    each.group,
    each.currency,
    each.account_count,
    each.posted.balance,
    each.available,
  ]);
}

describe('roll-ups', () => {
  test('sum per currency unless told otherwise', async () => {
    const api = await books();
    expect((await rollUps(api, { code_prefix: 'customers:' })).data).toEqual([
      {
        group: 'EUR',
        currency: 'EUR',
        scale: 2,
        account_count: 4,
        normal_side: 'credit',
        posted: { debits: '0', credits: '123', balance: '123' },
        pending: { out: '40', in: '0' },
        available: '83',
        position: expect.any(Number),
      },
      expect.objectContaining({ group: 'USD', account_count: 1, available: '7' }),
    ]);
    expect(await groups(api, {})).toEqual([
      ['EUR', 'EUR', 5, '0', '-40'],
      ['USD', 'USD', 2, '0', '0'],
    ]);
  });

  test('sum per type', async () => {
    const api = await books();
    expect(await groups(api, { group_by: 'type' })).toEqual([
      ['asset', 'EUR', 1, '123', '83'],
      ['asset', 'USD', 1, '7', '7'],
      ['liability', 'EUR', 4, '123', '83'],
      ['liability', 'USD', 1, '7', '7'],
    ]);
  });

  test('walk the tree of codes segment by segment', async () => {
    const api = await books();
    expect(await groups(api, { group_by: 'segment' })).toEqual([
      ['cash', 'EUR', 1, '123', '83'],
      ['cash', 'USD', 1, '7', '7'],
      ['customers', 'EUR', 4, '123', '83'],
      ['customers', 'USD', 1, '7', '7'],
    ]);
    expect(await groups(api, { group_by: 'segment', code_prefix: 'customers:' })).toEqual([
      ['customers:de', 'EUR', 2, '120', '80'],
      ['customers:fr', 'EUR', 2, '3', '3'],
      ['customers:us', 'USD', 1, '7', '7'],
    ]);
    expect(await groups(api, { group_by: 'segment', code_prefix: 'customers:d' })).toEqual([
      ['customers:de', 'EUR', 2, '120', '80'],
    ]);
    expect(await groups(api, { code_prefix: 'nobody' })).toEqual([]);
  });

  test('page by page are all of them', async () => {
    const api = await books();
    const whole = await groups(api, { group_by: 'segment', code_prefix: 'customers:' });
    const first = await rollUps(api, { group_by: 'segment', code_prefix: 'customers:', limit: '2' });
    const second = await rollUps(api, {
      group_by: 'segment',
      code_prefix: 'customers:',
      limit: '2',
      cursor: String(first.next_cursor),
    });
    expect([...first.data, ...second.data].map(({ group }) => group)).toEqual(whole.map(([group]) => group));
  });

  test('a roll-up read after a 201 includes it', async () => {
    const api = await books();
    for (let count = 1; count <= 10; count += 1) {
      await aTransaction(api, { debit: 'cash', credit: 'customers:fr', amount: '10' });
      const [, fr] = await groups(api, { group_by: 'segment', code_prefix: 'customers:' });
      expect(fr?.[3]).toBe(String(3 + 10 * count));
    }
  });

  test('an answer tells its position, also when nobody is in it', async () => {
    const api = await books();
    const { position } = await aTransaction(api, { debit: 'cash', credit: 'customers:fr', amount: '1' });
    for (const query of [{}, { code_prefix: 'nobody' }]) {
      const now = await rollUps(api, { ...query, min_position: String(position) });
      expect(now).toMatchObject({ position, as_of: null, known_at: null });
      expect(now.data.every((each) => each.position === position)).toBe(true);
    }
    const known_at = String(position - 1);
    expect(await rollUps(api, { code_prefix: 'nobody', known_at })).toEqual({
      data: [],
      has_more: false,
      next_cursor: null,
      position: position - 1,
      as_of: null,
      known_at: position - 1,
    });
    for (const name of ['min_position', 'known_at']) {
      expect((await api.get(`/v1/balances?${name}=${position + 1}`)).body).toMatchObject({
        code: 'invalid_request',
        errors: [{ pointer: `#/query/${name}`, code: 'position_ahead' }],
      });
    }
  });

  test('at any instant are the sums of the balances of that instant', async () => {
    const api = server.client((await aTenant()).api_key);
    const codes = await randomBooks(api, 13, 700);
    const as_of = new Date(Date.now() - 20 * 86_400_000).toISOString();
    const seen = new Set<string>();
    for (const query of [{ as_of }, { known_at: '400' }, { as_of, known_at: '400' }]) {
      const { data, position } = await rollUps(api, { ...query, group_by: 'type', limit: '200' });
      const sums = new Map<string, bigint[]>();
      for (const code of codes) {
        const answer = await api.get(`/v1/accounts/${code}/balance?${new URLSearchParams(query)}`);
        const { posted, pending, currency } = answer.as(
          RollUpSchema.pick({ posted: true, pending: true, currency: true }),
        );
        const { type } = (await api.get(`/v1/accounts/${code}`)).as(z.looseObject({ type: z.string() }));
        const key = `${type} ${currency}`;
        const values = [posted.debits, posted.credits, posted.balance, pending.out, pending.in].map(BigInt);
        sums.set(
          key,
          values.map((value, index) => value + (sums.get(key)?.[index] ?? 0n)),
        );
      }
      const found = data.map(({ group, currency, posted, pending }) => [
        `${group} ${currency}`,
        [posted.debits, posted.credits, posted.balance, pending.out, pending.in].map(BigInt),
      ]);
      expect(Object.fromEntries(found)).toEqual(Object.fromEntries(sums));
      if ('known_at' in query) expect(position).toBe(400);
      seen.add(JSON.stringify(data.map(({ posted, pending }) => [posted, pending])));
    }
    expect(seen.size).toBe(3);
  });

  test('are CSV when that is asked for, all of them unless a limit is given', async () => {
    const api = await books();
    const { position } = await rollUps(api, {});
    const answer = await api.get('/v1/balances?group_by=segment', { headers: { Accept: 'text/csv' } });
    expect([answer.headers.get('content-type'), answer.headers.get('lattice-position')]).toEqual([
      'text/csv; charset=utf-8',
      String(position),
    ]);
    expect(answer.text.split('\r\n')).toEqual([
      'group,currency,scale,account_count,normal_side,posted_debits,posted_credits,posted_balance,pending_out,pending_in,available,position',
      `cash,EUR,2,1,debit,123,0,123,40,0,83,${position}`,
      `cash,USD,2,1,debit,7,0,7,0,0,7,${position}`,
      `customers,EUR,2,4,credit,0,123,123,40,0,83,${position}`,
      `customers,USD,2,1,credit,0,7,7,0,0,7,${position}`,
      '',
    ]);
    const paged = await api.get('/v1/balances?group_by=segment&format=csv&limit=1');
    expect([paged.text.split('\r\n').length, paged.headers.get('link')]).toEqual([
      3,
      expect.stringContaining('rel="next"'),
    ]);
  });
});

async function trialBalance(api: Client, query: Record<string, string>) {
  return (await api.get(`/v1/trial_balance?${new URLSearchParams(query)}`)).as(TrialBalanceSchema);
}

describe('the trial balance', () => {
  test('shows each account in the column of its side, and totals that are equal', async () => {
    const api = await books();
    const { data, totals, has_more } = await trialBalance(api, {});
    expect(data.map(({ code, debit, credit }) => [code, debit, credit])).toEqual([
      ['cash', '123', '0'],
      ['cash:usd', '7', '0'],
      ['customers:de:a', '0', '100'],
      ['customers:de:b', '0', '20'],
      ['customers:fr:c', '0', '3'],
      ['customers:us:d', '0', '7'],
    ]);
    expect(totals).toEqual([
      { currency: 'EUR', scale: 2, debits: '123', credits: '123' },
      { currency: 'USD', scale: 2, debits: '7', credits: '7' },
    ]);
    expect(has_more).toBe(false);
  });

  test('of an empty ledger has no line', async () => {
    const api = server.client((await aTenant()).api_key);
    expect(await trialBalance(api, {})).toMatchObject({ data: [], totals: [], has_more: false });
  });

  test('pages fit together, whatever is posted between them', async () => {
    const api = await books();
    const whole = (await trialBalance(api, {})).data;
    const lines: unknown[] = [];
    let cursor: string | null = null;
    do {
      const next: z.infer<typeof TrialBalanceSchema> = await trialBalance(api, {
        limit: '2',
        ...(cursor === null ? {} : { cursor }),
      });
      expect(next.totals === null).toBe(cursor !== null);
      lines.push(...next.data);
      cursor = next.next_cursor;
      await aTransaction(api, { debit: 'cash', credit: 'customers:fr', amount: '1' });
    } while (cursor !== null);
    expect(lines).toEqual(whole);
  });

  test('at any instant its totals are equal, and its lines are the balances of that instant', async () => {
    const api = server.client((await aTenant()).api_key);
    await randomBooks(api, 12, 700);
    const as_of = new Date(Date.now() - 20 * 86_400_000).toISOString();
    for (const query of [{}, { as_of }, { known_at: '400' }, { as_of, known_at: '400' }]) {
      const { data, totals } = await trialBalance(api, query);
      expect(totals?.map(({ debits, credits }) => debits === credits)).toEqual([true]);
      expect(data.length).toBeGreaterThan(1);
      for (const { code, debit, credit } of data) {
        const answer = await api.get(`/v1/accounts/${code}/balance?${new URLSearchParams(query)}`);
        const { posted } = answer.as(
          z.looseObject({ posted: z.object({ debits: z.string(), credits: z.string() }) }),
        );
        expect(BigInt(posted.debits) - BigInt(posted.credits)).toBe(BigInt(debit) - BigInt(credit));
      }
    }
  });

  test('is CSV when that is asked for, with all its lines', async () => {
    const api = await books();
    const { data, position } = await trialBalance(api, { limit: '200' });
    const answer = await api.get('/v1/trial_balance?format=csv');
    expect([answer.headers.get('content-type'), answer.headers.get('lattice-position')]).toEqual([
      'text/csv; charset=utf-8',
      String(position),
    ]);
    expect(answer.text.split('\r\n')).toEqual([
      'account_id,code,type,currency,scale,debit,credit',
      ...data.map((line) => Object.values(line).join()),
      '',
    ]);
  });

  test('a position that the log has not reached is refused', async () => {
    const api = await books();
    for (const name of ['known_at', 'min_position']) {
      expect((await api.get(`/v1/trial_balance?${name}=1000000`)).body).toMatchObject({
        code: 'invalid_request',
        errors: [{ pointer: `#/query/${name}`, code: 'position_ahead' }],
      });
    }
  });
});
