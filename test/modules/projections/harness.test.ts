// Every projection of the manifest, on random ledgers: in whatever slices it is applied it comes to the rows of one slice, and these are
// what a count that shares nothing with it says.
import fc from 'fast-check';
import { describe, expect, inject, test } from 'vitest';
import { z } from 'zod';
import { projections } from '../../../src/modules/projections/manifest.ts';
import type { Projection } from '../../../src/modules/projections/projection.ts';
import { createReportDimension } from '../../../src/modules/projections/report_dimensions.ts';
import { asSuperuser, database } from '../../support/database.ts';
import { seed } from '../../support/dice.ts';
import { aTenant, type TestTenant } from '../../support/factories.ts';
import { startServer } from '../../support/server.ts';
import { randomBooks, randomFrom } from '../ledger/random_books.ts';
import { randomInvoices } from './random_invoices.ts';

const RowsSchema = z.object({ rows: z.string().nullable() });
const AppliedSchema = z.object({
  state: z.string(),
  position: z.number().nullable(),
  head_position: z.number().nullable(),
  retry_ms: z.number().nullable(),
  along: z.array(z.string()).nullable().optional(),
});
const DifferenceSchema = z.object({
  what: z.string(),
  expected: z.string().nullable(),
  found: z.string().nullable(),
});

/** Follows no log. */
const server = await startServer({ CONSUMERS: 'off' });

/** The ends of what an instant can be, and days around the one from which Postgres counts. */
const edges_of_time = [
  '0001-01-01T00:00:00Z',
  '1999-12-31T00:00:00Z',
  '2000-01-01T00:00:00Z',
  '9999-12-31T23:59:59.999999Z',
];

/** A tenant with a past that names two dimensions on the way, and which nobody follows. */
async function aPast(past: number, count: number): Promise<TestTenant> {
  const tenant = await aTenant();
  const api = server.client(tenant.api_key);
  await randomInvoices(api, past, 2, count);
  await database.transaction(tenant.actor, (tx) => createReportDimension(tx, 'channel'));
  await randomBooks(api, past, count);
  const entries = [
    { account: 'bank', direction: 'debit', amount: '5' },
    { account: 'revenue:sales', direction: 'credit', amount: '5' },
  ];
  for (const effective_at of edges_of_time) {
    const posted = await api.post('/v1/transactions', { effective_at, entries });
    expect(posted.status).toBe(201);
  }
  await randomInvoices(api, past + 1, 4, count);
  await database.transaction(tenant.actor, (tx) => createReportDimension(tx, 'region'));
  await randomInvoices(api, past + 2, 2, count);
  return tenant;
}

/** What all projections look at, each through its own tables. */
const short_past = once(() => aPast(7, 25));

function once<Value>(make: () => Promise<Value>): () => Promise<Value> {
  let made: Promise<Value> | null = null;
  return () => {
    made ??= make();
    return made;
  };
}

/** All rows of the projection, as text. */
async function rowsOf(tenant: TestTenant, { tables }: Projection): Promise<string> {
  const parts: string[] = [];
  for (const table of tables) {
    const text = `select string_agg(each::text, E'\\n' order by each::text) as rows from projection.${table} each where tenant_id = $1`;
    const [found] = await asSuperuser(RowsSchema, text, [tenant.id]);
    parts.push(`${table}\n${found?.rows}`);
  }
  return parts.join('\n');
}

async function forget(tenant: TestTenant, { name, tables }: Projection): Promise<void> {
  for (const table of tables) {
    await asSuperuser(z.unknown(), `delete from projection.${table} where tenant_id = $1`, [tenant.id]);
  }
  await asSuperuser(z.unknown(), 'delete from log.consumer where tenant_id = $1 and name = $2', [
    tenant.id,
    name,
  ]);
}

async function applyAll(tenant: TestTenant, { name, apply }: Projection, limit: () => number): Promise<void> {
  for (let state: string | undefined = 'slice'; state === 'slice'; ) {
    const values = { tenant_id: tenant.id, consumer: name, limit: limit() };
    const [applied] = await database.call(apply, values, AppliedSchema);
    state = applied?.state;
  }
}

function recount(tenant: TestTenant, projection: Projection) {
  return database.call(projection.recount, { tenant_id: tenant.id }, DifferenceSchema);
}

test('there are projections to look at', () => {
  expect(projections.length).toBeGreaterThan(3);
  expect(new Set(projections.flatMap(({ tables }) => tables)).size).toBeGreaterThan(10);
});

describe.each(projections)('$name', (projection) => {
  test(`comes to the same rows in any slices, which are what a recount says (seed ${seed})`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), fc.integer(), async (past, cut) => {
        const tenant = await aPast(past, 90);
        await applyAll(tenant, projection, () => 1_000_000);
        const at_once = await rowsOf(tenant, projection);
        expect(at_once).toContain(`${projection.tables[0]}\n(`);
        expect(await recount(tenant, projection)).toEqual([]);

        const random = randomFrom(cut);
        await forget(tenant, projection);
        await applyAll(tenant, projection, () => 1 + Math.floor(random() ** 3 * 200));
        expect(await rowsOf(tenant, projection)).toBe(at_once);
      }),
      { seed, numRuns: inject('fault_rounds') },
    );
  }, 600_000);

  test('is right after every slice, and comes to the same rows one position at a time', async () => {
    const tenant = await short_past();
    let slices = 0;
    await applyAll(tenant, projection, () => {
      slices += 1;
      return 40;
    });
    expect(slices).toBeGreaterThan(3);
    expect(await recount(tenant, projection)).toEqual([]);
    const followed = await rowsOf(tenant, projection);
    await forget(tenant, projection);
    await applyAll(tenant, projection, () => 1);
    expect(await rowsOf(tenant, projection)).toBe(followed);
  });

  test('has a recount that finds a row that is missing, in whatever table, and begins with its name', async () => {
    const tenant = await short_past();
    let found = 0;
    for (const table of projection.tables) {
      await forget(tenant, projection);
      await applyAll(tenant, projection, () => 100);
      expect(await recount(tenant, projection)).toEqual([]);
      const deleted = await asSuperuser(
        z.unknown(),
        `delete from projection.${table} where ctid = (select min(ctid) from projection.${table} where tenant_id = $1) returning 1`,
        [tenant.id],
      );
      if (deleted.length === 0) continue;
      found += 1;
      const names = (await recount(tenant, projection)).map(({ what }) => what.split(' ')[0]);
      expect(names).toContain(table);
    }
    expect(found).toBeGreaterThan(0);
  });
});

describe.each(
  projections.flatMap(({ name, apply, takes_along }) =>
    takes_along === undefined ? [] : [{ name, apply, takes_along }],
  ),
)('$name and those that go along', ({ name, takes_along }) => {
  const all = projections.filter((each) => each.name === name || takes_along.names.includes(each.name));

  async function applyOne(tenant: TestTenant, consumer: string, apply: Projection['apply'], limit: number) {
    const values = { tenant_id: tenant.id, consumer, limit };
    const [applied] = await database.call(apply, values, AppliedSchema);
    return { position: applied?.position ?? 0, along: applied?.along ?? [] };
  }

  test(`come to the rows that each comes to by itself, wherever they stand when they meet (seed ${seed})`, async () => {
    expect(all).toHaveLength(1 + takes_along.names.length);
    const met = new Set<string>();
    await fc.assert(
      fc.asyncProperty(fc.integer(), fc.integer(), async (past, cut) => {
        const tenant = await aPast(past, 60);
        const alone: string[] = [];
        for (const projection of all) {
          await applyAll(tenant, projection, () => 1_000_000);
          alone.push(await rowsOf(tenant, projection));
          await forget(tenant, projection);
        }
        const random = randomFrom(cut);
        const limit = () => 1 + Math.floor(random() ** 3 * 60);
        const stands = new Map<string, number>();
        const applyTogether = async () => {
          const { position, along } = await applyOne(tenant, name, takes_along.apply, limit());
          for (const moved of [name, ...along]) stands.set(moved, position);
          met.add(along.sort().join(' '));
        };
        // Whatever the dice say later: once all stand at the same position, and once each at another.
        for (const each of all) await applyOne(tenant, each.name, each.apply, 1);
        await applyTogether();
        for (const [index, each] of all.entries()) {
          stands.set(each.name, (await applyOne(tenant, each.name, each.apply, 1 + index)).position);
        }
        for (let before = -1; before < (stands.get(name) ?? 0); ) {
          before = stands.get(name) ?? 0;
          // As the runner has it: whoever stands elsewhere and not ahead goes on by itself.
          for (const each of all) {
            const position = stands.get(each.name) ?? -1;
            if (position >= before) continue;
            stands.set(each.name, (await applyOne(tenant, each.name, each.apply, limit())).position);
          }
          await applyTogether();
        }
        for (const projection of all) await applyAll(tenant, projection, () => 1_000_000);
        for (const [index, projection] of all.entries()) {
          expect(await rowsOf(tenant, projection)).toBe(alone[index]);
          expect(await recount(tenant, projection)).toEqual([]);
        }
      }),
      { seed, numRuns: inject('fault_rounds') },
    );
    expect(met.has([...takes_along.names].sort().join(' '))).toBe(true);
    expect(met.size).toBeGreaterThan(1);
  }, 600_000);
});
