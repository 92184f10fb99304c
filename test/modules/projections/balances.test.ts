// The projection of balances: in whatever slices it is applied it comes to the same rows, and they are what a recount says.
import fc from 'fast-check';
import { describe, expect, inject, test } from 'vitest';
import { z } from 'zod';
import { queries } from '../../../src/db.ts';
import { asSuperuser, database } from '../../support/database.ts';
import { seed } from '../../support/dice.ts';
import { aTenant, type TestTenant } from '../../support/factories.ts';
import { startServer } from '../../support/server.ts';
import { randomBooks, randomFrom } from '../ledger/random_books.ts';

const sql = queries(import.meta.url, 'balances_apply', 'ledger_prove');

const tables = [
  'balances_v',
  'expiring_holds_v',
  'open_holds_v',
  'balance_checkpoints_v',
  'dated_blocks_v',
  'dated_sums_v',
];
const RowsSchema = z.object({ rows: z.string().nullable() });
const AppliedSchema = z.object({ state: z.string(), position: z.number().nullable() });
const ProofSchema = z.object({
  position: z.number(),
  balances_position: z.number(),
  difference_count: z.number(),
  differences: z.string(),
});

/** Everything that the projection has of a tenant, as text. */
async function projected(tenant: TestTenant): Promise<string> {
  const parts = await Promise.all(
    tables.map(async (table) => {
      const text = `select string_agg(each::text, E'\\n' order by each::text) as rows from projection.${table} each where tenant_id = $1`;
      const [found] = await asSuperuser(RowsSchema, text, [tenant.id]);
      return `${table}\n${found?.rows}`;
    }),
  );
  return parts.join('\n');
}

async function forget(tenant: TestTenant): Promise<void> {
  for (const table of tables.map((name) => `projection.${name}`)) {
    await asSuperuser(z.unknown(), `delete from ${table} where tenant_id = $1`, [tenant.id]);
  }
  await asSuperuser(z.unknown(), `delete from log.consumer where tenant_id = $1 and name = 'balances'`, [
    tenant.id,
  ]);
}

async function applySlice(tenant: TestTenant, limit: number) {
  const [applied] = await database.call(sql.balances_apply, { tenant_id: tenant.id, limit }, AppliedSchema);
  return applied;
}

async function applyAll(tenant: TestTenant, limit: () => number): Promise<void> {
  while ((await applySlice(tenant, limit()))?.state === 'slice');
}

async function prove(tenant: TestTenant) {
  const [proof] = await database.call(sql.ledger_prove, { tenant_id: tenant.id }, ProofSchema);
  return proof;
}

/** Follows no log. */
const server = await startServer({ CONSUMERS: 'off' });

/** A tenant with a past, which nobody follows. */
async function aPast(past: number, count: number): Promise<TestTenant> {
  const tenant = await aTenant();
  await randomBooks(server.client(tenant.api_key), past, count);
  return tenant;
}

describe('any slicing', () => {
  test(`comes to the same rows, which are what a recount says (seed ${seed})`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer(),
        fc.array(fc.integer(), { minLength: 2, maxLength: 2 }),
        async (past, cuts) => {
          const tenant = await aPast(past, 900);
          await forget(tenant);
          await applyAll(tenant, () => 1_000_000);
          const at_once = await projected(tenant);
          expect(at_once).toContain('balance_checkpoints_v\n(');
          expect(at_once).toContain('dated_sums_v\n(');
          const proof = await prove(tenant);
          expect(proof).toMatchObject({ difference_count: 0, differences: '[]' });
          expect(proof?.balances_position).toBe(proof?.position);
          for (const cut of cuts) {
            const random = randomFrom(cut);
            await forget(tenant);
            await applyAll(tenant, () => 1 + Math.floor(random() ** 3 * 400));
            expect(await projected(tenant)).toBe(at_once);
          }
        },
      ),
      { seed, numRuns: inject('fault_rounds') === 1 ? 2 : 4 * inject('fault_rounds') },
    );
  }, 600_000);

  test('one position at a time comes to the same rows', async () => {
    const tenant = await aPast(7, 300);
    const before = await projected(tenant);
    await applyAll(tenant, () => 1_000_000);
    const followed = await projected(tenant);
    await forget(tenant);
    await applyAll(tenant, () => 1);
    expect(await projected(tenant)).toBe(followed);
    expect(before.length).toBeGreaterThan(0);
  });
});

describe('two processes', () => {
  test('apply each position once', async () => {
    const tenant = await aPast(8, 400);
    await forget(tenant);
    await applyAll(tenant, () => 1_000_000);
    const once = await projected(tenant);
    await forget(tenant);
    const random = randomFrom(8);
    const follow = async () => {
      for (;;) {
        const applied = await applySlice(tenant, 1 + Math.floor(random() * 20));
        if (applied?.state === 'caught_up') return;
      }
    };
    await Promise.all([follow(), follow(), follow()]);
    expect(await projected(tenant)).toBe(once);
  });
});

describe('the recount', () => {
  const tamperings: [string, string][] = [
    ['balances_v', 'update projection.balances_v set posted_debits = posted_debits + 1'],
    ['balances_v', 'update projection.balances_v set expired_debits = expired_debits + 1'],
    ['balances_v', 'delete from projection.balances_v'],
    [
      'balance_checkpoints_v',
      'update projection.balance_checkpoints_v set live_posted_credits = live_posted_credits - 1',
    ],
    ['expiring_holds_v', 'update projection.expiring_holds_v set pending_debits = pending_debits + 1'],
    ['open_holds_v', 'delete from projection.open_holds_v'],
    ['open_holds_v', `update projection.open_holds_v set expires_at = '2999-01-01Z'`],
    [
      'dated_sums_v',
      `update projection.dated_sums_v set posted_debits[cardinality(posted_debits)] = 1 where series = 'effective'`,
    ],
    [
      'dated_sums_v',
      `update projection.dated_sums_v set posted_debits[1] = posted_debits[1] + 1 where cardinality(posted_debits) > 1`,
    ],
    ['dated_sums_v', `update projection.dated_sums_v set first_at = first_at - interval '1 day'`],
    ['dated_sums_v', 'delete from projection.dated_sums_v'],
    ['dated_blocks_v', 'update projection.dated_blocks_v set expires = false'],
    ['dated_blocks_v', `update projection.dated_blocks_v set recorded_at = recorded_at + interval '1 day'`],
    ['entries', `update ledger.entry set amount = amount + 1 where direction = 'debit' and layer = 'posted'`],
    ['log', 'delete from log.event where position = 100'],
  ];

  test.each(tamperings)('finds what was tampered with in %s: %s', async (check, tampering) => {
    const tenant = await aPast(9, 900);
    await forget(tenant);
    await applyAll(tenant, () => 5_000);
    expect(await prove(tenant)).toMatchObject({ difference_count: 0 });
    const where = tampering.includes(' where ') ? 'and' : 'where';
    await asSuperuser(z.unknown(), `${tampering} ${where} tenant_id = $1`, [tenant.id]);
    const proof = await prove(tenant);
    expect(proof?.difference_count).toBeGreaterThan(0);
    expect(proof?.differences).toContain(`"check" : "${check}"`);
  });
});
