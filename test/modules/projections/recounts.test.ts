// A recount reads each row a few times, whatever Postgres knows of the tables: it may be asked for right after a million postings, when nobody
// has analyzed them yet, and a plan for few rows would then count everything once for each row of something else. Rows of tables, that is: what is gone
// through again in memory is not counted.
import { beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { queries } from '../../../src/db.ts';
import { projections } from '../../../src/modules/projections/manifest.ts';
import { createReportDimension } from '../../../src/modules/projections/report_dimensions.ts';
import { database } from '../../support/database.ts';
import { anAccount, aTenant, type TestTenant } from '../../support/factories.ts';
import { startServer } from '../../support/server.ts';

const sql = queries(import.meta.url, 'rows_read', 'statistics_read');

const postings = 4_000;
/** Of each posting: its event, its two entries, and what projections have of it. */
const rows_per_posting = 15;

const AppliedSchema = z.object({ state: z.string() });
const ReadSchema = z.object({ row_count: z.number() });
const StatisticsSchema = z.object({ analyzed_count: z.number() });

/** Follows no log. */
const server = await startServer({ CONSUMERS: 'off' });
let tenant: TestTenant;

beforeAll(async () => {
  tenant = await aTenant();
  const api = server.client(tenant.api_key);
  await anAccount(api, { code: 'receivables:hot', type: 'asset' });
  await anAccount(api, { code: 'revenue:sales', type: 'revenue' });
  await database.transaction(tenant.actor, (tx) => createReportDimension(tx, 'channel'));
  for (let done = 0; done < postings; done += 1_000) {
    const transactions = Array.from({ length: 1_000 }, (_, i) => ({
      effective_at: new Date(Date.UTC(2026, 0, 1 + ((done + i) % 200), 12)).toISOString(),
      metadata: { invoice: `INV-${done + i}`, channel: `c${i % 7}` },
      entries: [
        { account: 'receivables:hot', direction: 'debit', amount: '100' },
        { account: 'revenue:sales', direction: 'credit', amount: '100' },
      ],
    }));
    const answer = await api.post('/v1/transactions/bulk', { transactions });
    expect(answer.status).toBe(201);
  }
  for (const { name, apply } of projections) {
    for (let state: string | undefined = 'slice'; state === 'slice'; ) {
      const values = { tenant_id: tenant.id, consumer: name, limit: 1_000 };
      const [applied] = await database.call(apply, values, AppliedSchema);
      state = applied?.state;
    }
  }
  const [statistics] = await database.call(sql.statistics_read, {}, StatisticsSchema);
  expect(statistics?.analyzed_count).toBe(0);
});

describe.each(projections)('$name', ({ recount }) => {
  test('is recounted in few passes', async () => {
    await database.transaction(tenant.actor, async (tx) => {
      const before = await tx.one(sql.rows_read, {}, ReadSchema);
      expect(await tx.many(recount, { tenant_id: tenant.id }, z.unknown())).toEqual([]);
      const after = await tx.one(sql.rows_read, {}, ReadSchema);
      const read = after.row_count - before.row_count;
      expect(read).toBeGreaterThan(2 * postings);
      expect(read).toBeLessThan(rows_per_posting * postings);
    });
  });
});
