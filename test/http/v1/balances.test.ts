// Balances and statements: exact, current, and the same as a recount of the entries at every instant on both axes.
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { randomBooks, randomFrom } from '../../modules/ledger/random_books.ts';
import type { Client } from '../../support/client.ts';
import { asSuperuser } from '../../support/database.ts';
import { anAccount, aTenant, aTransaction, type TestTenant } from '../../support/factories.ts';
import { startServer } from '../../support/server.ts';
import { waitFor } from '../../support/wait.ts';

const server = await startServer();

const BalanceSchema = z.object({
  account_id: z.string(),
  currency: z.string(),
  scale: z.number(),
  posted: z.object({ debits: z.string(), credits: z.string(), balance: z.string() }),
  pending: z.object({ out: z.string(), in: z.string() }),
  available: z.string(),
  position: z.number(),
  as_of: z.string().nullable(),
  known_at: z.union([z.string(), z.number()]).nullable(),
});
type Balance = z.infer<typeof BalanceSchema>;

async function books(): Promise<{ api: Client; tenant: TestTenant }> {
  const tenant = await aTenant();
  const api = server.client(tenant.api_key);
  await anAccount(api, { code: 'cash', type: 'asset' });
  await anAccount(api, { code: 'alice' });
  return { api, tenant };
}

async function balance(api: Client, account: string, query: Record<string, string> = {}): Promise<Balance> {
  return (await api.get(`/v1/accounts/${account}/balance?${new URLSearchParams(query)}`)).as(BalanceSchema);
}

const deposit = (amount: string, rest: Record<string, unknown> = {}) => ({
  debit: 'cash',
  credit: 'alice',
  amount,
  ...rest,
});

describe('the plain balance', () => {
  test('of an account without entries is zero', async () => {
    const { api } = await books();
    expect(await balance(api, 'alice')).toEqual({
      account_id: expect.stringMatching(/^acc_/),
      currency: 'EUR',
      scale: 2,
      posted: { debits: '0', credits: '0', balance: '0' },
      pending: { out: '0', in: '0' },
      available: '0',
      position: 3,
      as_of: null,
      known_at: null,
    });
  });

  test('includes each transaction that was answered before, by id and by code', async () => {
    const { api } = await books();
    const { account_id } = await balance(api, 'alice');
    for (let count = 1; count <= 30; count += 1) {
      const { position } = await aTransaction(api, deposit('10'));
      const read = await balance(api, count % 2 === 0 ? 'alice' : account_id);
      expect(read.posted.balance).toBe(String(10 * count));
      expect(read.position).toBe(position);
    }
  });

  test('grows on the normal side of the account', async () => {
    const { api } = await books();
    await aTransaction(api, deposit('70'));
    await aTransaction(api, { debit: 'alice', credit: 'cash', amount: '100' });
    expect((await balance(api, 'alice')).posted).toEqual({ debits: '100', credits: '70', balance: '-30' });
    expect((await balance(api, 'cash')).posted).toEqual({ debits: '70', credits: '100', balance: '-30' });
  });

  test('sees what is held out and in, and only the first is not available', async () => {
    const { api } = await books();
    await aTransaction(api, deposit('100'));
    await aTransaction(api, deposit('7', { status: 'pending' }));
    await aTransaction(api, { debit: 'alice', credit: 'cash', amount: '30', status: 'pending' });
    expect(await balance(api, 'alice')).toMatchObject({
      posted: { balance: '100' },
      pending: { out: '30', in: '7' },
      available: '70',
    });
    expect(await balance(api, 'cash')).toMatchObject({ pending: { out: '30', in: '7' }, available: '70' });
  });

  test('keeps amounts of 38 digits exact', async () => {
    const { api } = await books();
    const amount = '9'.repeat(38);
    for (let count = 0; count < 3; count += 1) await aTransaction(api, deposit(amount));
    expect((await balance(api, 'alice')).posted.balance).toBe(String(3n * BigInt(amount)));
  });

  test('lets a hold go at its expiry, whether or not anybody records that', async () => {
    const { api } = await books();
    await aTransaction(api, {
      debit: 'alice',
      credit: 'cash',
      amount: '30',
      status: 'pending',
      expires_in_seconds: 3,
    });
    expect((await balance(api, 'alice')).pending.out).toBe('30');
    await waitFor('the hold has expired', async () => (await balance(api, 'alice')).pending.out === '0');
    expect(await balance(api, 'alice')).toMatchObject({ available: '0' });
  });
});

describe('as_of and known_at', () => {
  test('as_of keeps what is in effect at or before an instant', async () => {
    const { api } = await books();
    await aTransaction(api, deposit('1', { effective_at: '2026-10-01T00:00:00Z' }));
    await aTransaction(api, deposit('10', { effective_at: '2026-10-02T00:00:00Z' }));
    await aTransaction(api, deposit('100'));
    const at = async (as_of: string) => (await balance(api, 'alice', { as_of })).posted.balance;
    expect(await at('2026-09-30T23:59:59.999999Z')).toBe('0');
    expect(await at('2026-10-01T00:00:00Z')).toBe('1');
    expect(await at('2026-10-01T23:59:59.999999Z')).toBe('1');
    expect(await at('2026-10-02T00:00:00Z')).toBe('11');
    expect(await at('2999-01-01T00:00:00Z')).toBe('111');
  });

  test('known_at keeps what had been recorded by then, as an instant or as a position', async () => {
    const { api } = await books();
    const first = await aTransaction(api, deposit('1', { effective_at: '2026-10-05T00:00:00Z' }));
    const second = await aTransaction(api, deposit('10', { effective_at: '2026-10-01T00:00:00Z' }));
    const at = async (known_at: string) => (await balance(api, 'alice', { known_at })).posted.balance;
    expect(await at(first.recorded_at)).toBe('1');
    expect(await at(String(first.position))).toBe('1');
    expect(await at(second.recorded_at)).toBe('11');
    expect(await at('0')).toBe('0');
    expect(await at('2020-01-01T00:00:00Z')).toBe('0');
    expect(await at('2999-01-01T00:00:00Z')).toBe('11');
  });

  test('both together tell what was believed then about then', async () => {
    const { api } = await books();
    const first = await aTransaction(api, deposit('1', { effective_at: '2026-10-05T00:00:00Z' }));
    await aTransaction(api, deposit('10', { effective_at: '2026-10-01T00:00:00Z' }));
    const as_of = '2026-10-02T00:00:00Z';
    expect((await balance(api, 'alice', { as_of })).posted.balance).toBe('10');
    const believed = await balance(api, 'alice', { as_of, known_at: String(first.position) });
    expect(believed).toMatchObject({
      posted: { balance: '0' },
      position: first.position,
      as_of,
      known_at: first.position,
    });
  });

  test('a hold counts from when it takes effect until it expires, of the instant asked about', async () => {
    const { api } = await books();
    await aTransaction(api, {
      debit: 'alice',
      credit: 'cash',
      amount: '30',
      status: 'pending',
      effective_at: '2026-10-01T00:00:00Z',
      expires_at: '2999-01-01T00:00:00Z',
    });
    const out = async (as_of: string) => (await balance(api, 'alice', { as_of })).pending.out;
    expect(await out('2026-09-30T00:00:00Z')).toBe('0');
    expect(await out('2026-10-01T00:00:00Z')).toBe('30');
    expect(await out('2998-12-31T23:59:59.999999Z')).toBe('30');
    expect(await out('2999-01-01T00:00:00Z')).toBe('0');
  });

  test('a position that the log has not reached is refused', async () => {
    const { api } = await books();
    expect((await api.get('/v1/accounts/alice/balance?known_at=4')).body).toMatchObject({
      code: 'invalid_request',
      errors: [{ pointer: '#/query/known_at', code: 'position_ahead' }],
    });
  });

  test.each([
    ['as_of=yesterday', '#/query/as_of'],
    ['as_of=2026-10-01', '#/query/as_of'],
    ['as_of=7', '#/query/as_of'],
    ['known_at=-1', '#/query/known_at'],
    ['known_at=2026-02-30T00:00:00Z', '#/query/known_at'],
    ['known_at=99999999999999999999', '#/query/known_at'],
    ['at=2026-10-01T00:00:00Z', '#/query/at'],
  ])('%s is refused with a pointer to it', async (query, pointer) => {
    const { api } = await books();
    const answer = await api.get(`/v1/accounts/alice/balance?${query}`);
    expect(answer.body).toMatchObject({ code: 'invalid_request', status: 400, errors: [{ pointer }] });
  });

  test("another tenant's account is not found", async () => {
    const [{ api }, other] = [await books(), await books()];
    const { account_id } = await balance(other.api, 'alice');
    expect((await api.get(`/v1/accounts/${account_id}/balance`)).body).toMatchObject({ code: 'not_found' });
    expect((await api.get('/v1/accounts/bob/balance')).body).toMatchObject({ code: 'not_found' });
  });
});

const CountedSchema = z.object({ sums: z.array(z.string()) });

/** The definition, word by word: an entry counts if it was recorded and in effect by then, and its hold had not expired. */
const recount = `
  select array[
    coalesce(sum(amount) filter (where layer = 'posted' and direction = 'debit'), 0)::text,
    coalesce(sum(amount) filter (where layer = 'posted' and direction = 'credit'), 0)::text,
    coalesce(sum(amount) filter (where layer = 'pending' and direction = 'debit'), 0)::text,
    coalesce(sum(amount) filter (where layer = 'pending' and direction = 'credit'), 0)::text
  ] as sums
  from jsonb_to_recordset($2) as question(number int, code text, known_position bigint, known_at timestamptz, as_of timestamptz)
  join ledger.account on account.tenant_id = $1 and account.code = question.code
  left join ledger.entry on entry.tenant_id = $1 and entry.account_id = account.id
    and (question.known_position is null or entry.position <= question.known_position)
    and (question.known_at is null or entry.recorded_at <= question.known_at)
    and (question.as_of is null or entry.effective_at <= question.as_of)
    and (entry.expires_at is null or entry.expires_at > coalesce(
      question.as_of, question.known_at,
      (select event.recorded_at from log.event where event.tenant_id = $1 and event.position = question.known_position)
    ))
  group by question.number
  order by question.number`;

describe('a random past', () => {
  test('answers every question about it as a recount of its entries does', async () => {
    const tenant = await aTenant();
    const api = server.client(tenant.api_key);
    const codes = await randomBooks(api, 20_261_120, 1_200);
    const head = (await balance(api, 'cash')).position;
    const random = randomFrom(4);
    const instant = () => {
      const text = new Date(Date.now() - random() ** 2 * 110 * 86_400_000 + 5_000 * random()).toISOString();
      return random() < 0.3 ? `${text.slice(0, 10)}T00:00:00Z` : text;
    };
    const questions = Array.from({ length: 300 }, (_, number) => {
      const kind = number % 5;
      return {
        number,
        code: codes[number % codes.length],
        as_of: kind === 1 || kind > 2 ? instant() : null,
        known_position: kind === 2 || kind === 3 ? Math.floor(random() * (head + 1)) : null,
        known_at: kind === 0 || kind === 4 ? new Date(Date.now() - random() * 5_000).toISOString() : null,
      };
    });
    const answers: string[][] = [];
    for (const { code, as_of, known_position, known_at } of questions) {
      const known = known_position === null ? known_at : String(known_position);
      const { posted, pending } = await balance(api, String(code), {
        ...(as_of === null ? {} : { as_of }),
        ...(known === null ? {} : { known_at: known }),
      });
      const held = code === 'cash' ? [pending.in, pending.out] : [pending.out, pending.in];
      answers.push([posted.debits, posted.credits, ...held]);
    }
    const counted = await asSuperuser(CountedSchema, recount, [tenant.id, JSON.stringify(questions)]);
    expect(answers).toEqual(counted.map(({ sums }) => sums));
  });
});
