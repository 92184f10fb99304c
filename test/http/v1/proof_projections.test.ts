// GET /v1/proof recounts every projection: a row that somebody has changed is named, and only what limits are decided by halts postings.
import { beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { projections } from '../../../src/modules/projections/manifest.ts';
import { createReportDimension } from '../../../src/modules/projections/report_dimensions.ts';
import { commandLines } from '../../support/command_lines.ts';
import { asSuperuser, database } from '../../support/database.ts';
import { anAccount, aTenant, aTransaction, type TestTenant } from '../../support/factories.ts';
import { startServer } from '../../support/server.ts';
import { waitFor } from '../../support/wait.ts';

const server = await startServer({ LOG_LEVEL: 'silent' });
const lattice = commandLines();

/** what a superuser does to one row of each table */
const changes: Record<string, string> = {
  balances_v: 'entry_count = entry_count + 1',
  expiring_holds_v: 'pending_debits = pending_debits + 1',
  open_holds_v: 'position = position + 1',
  balance_checkpoints_v: 'posted_debits = posted_debits + 1',
  dated_blocks_v: 'start_position = start_position + 1',
  dated_sums_v: 'posted_debits[1] = posted_debits[1] + 1, posted_credits[1] = posted_credits[1] + 1',
  balances_daily_v: 'posted_debits = posted_debits + 1',
  invoices_v: "customer = 'somebody else'",
  invoice_days_v: 'raised = raised + 1',
  invoice_transactions_v: "invoice = invoice || 'x'",
  reports_v: 'scale = scale + 1',
  report_transactions_v: "value = value || 'x'",
};
const halting = ['balances_v', 'expiring_holds_v'];

const ProofSchema = z.looseObject({
  ok: z.boolean(),
  position: z.number(),
  balances_position: z.number(),
  halted: z.boolean(),
  difference_count: z.number(),
  differences: z.array(z.looseObject({ check: z.string() })),
  projections: z.array(
    z.looseObject({ projection: z.string(), position: z.number(), difference_count: z.number() }),
  ),
});

let tenant: TestTenant;
const api = () => server.client(tenant.api_key);
const prove = async () => (await api().get('/v1/proof')).as(ProofSchema);

/** Enough backdated entries of two accounts for checkpoints and blocks, each under an invoice and with a value of a dimension, and a hold. */
beforeAll(async () => {
  tenant = await aTenant();
  await anAccount(api(), { code: 'receivables:all', type: 'asset' });
  await anAccount(api(), { code: 'revenue', type: 'revenue' });
  await database.transaction(tenant.actor, (tx) => createReportDimension(tx, 'channel'));
  const transactions = Array.from({ length: 300 }, (_, number) => ({
    effective_at: new Date(Date.UTC(2026, 0, 1 + (number % 90))).toISOString(),
    metadata: { invoice: `INV-${number % 7}`, customer: 'alice', due_on: '2026-06-30', channel: 'web' },
    entries: [
      { account: 'receivables:all', direction: 'debit', amount: '100' },
      { account: 'revenue', direction: 'credit', amount: '100' },
    ],
  }));
  expect((await api().post('/v1/transactions/bulk', { transactions })).status).toBe(201);
  const hold = { debit: 'receivables:all', credit: 'revenue', status: 'pending', expires_in_seconds: 86_400 };
  await aTransaction(api(), hold);
  await waitFor('all projections are carried forward', async () => {
    const proof = await prove();
    const reached = [proof.balances_position, ...proof.projections.map(({ position }) => position)];
    return reached.every((position) => position === proof.position);
  });
});

test('what nobody has changed is proved, and of each projection up to where', async () => {
  const proof = await prove();
  expect(proof).toMatchObject({ ok: true, difference_count: 0, differences: [] });
  expect(proof.projections.flatMap(({ projection }) => ['balances', projection])).toEqual(
    expect.arrayContaining(projections.map(({ name }) => name)),
  );
  const tables = projections.flatMap((projection) => projection.tables);
  expect(Object.keys(changes).filter((table) => !tables.includes(table))).toEqual([]);
});

const RowSchema = z.object({ row: z.string() });

/** Changes the last row of a table; answers how to have it as it was. */
async function tamper(table: string): Promise<() => Promise<void>> {
  const [kept] = await asSuperuser(
    RowSchema,
    `select each::text as row from projection.${table} each where tenant_id = $1 order by ctid desc limit 1`,
    [tenant.id],
  );
  if (kept === undefined) throw new Error(`${table} has no row`);
  const [changed] = await asSuperuser(
    RowSchema,
    `update projection.${table} each set ${changes[table]} where each::text = $1 returning each::text as row`,
    [kept.row],
  );
  expect(changed?.row).not.toBe(kept.row);
  return async () => {
    await asSuperuser(z.unknown(), `delete from projection.${table} each where each::text = $1`, [
      changed?.row,
    ]);
    const text = `insert into projection.${table} select ($1::projection.${table}).*`;
    await asSuperuser(z.unknown(), text, [kept.row]);
  };
}

test.each(Object.keys(changes))('a row of %s that somebody has changed is named', async (table) => {
  const restore = await tamper(table);
  const proof = await prove();
  expect(proof).toMatchObject({ ok: false, halted: halting.includes(table) });
  expect(proof.difference_count).toBeGreaterThan(0);
  expect(proof.differences.map(({ check }) => check)).toContain(table);
  const own = { LATTICE_URL: server.url, LATTICE_API_KEY: tenant.api_key };
  const verified = await lattice(['verify'], own);
  expect(verified.status).toBe(1);
  expect(verified.stdout).toMatch(new RegExp(`^ {2}${table}( of acc_\\w+)?: .*: expected .*, found `, 'm'));

  await restore();
  if (halting.includes(table)) expect((await api().post('/v1/proof/resumption')).status).toBe(200);
  expect(await prove()).toMatchObject({ ok: true, halted: false });
});

test('postings go on while what only answers questions about the past differs', async () => {
  const tables = Object.keys(changes).filter((table) => !halting.includes(table));
  for (const table of tables) await tamper(table);
  const proof = await prove();
  expect(proof.halted).toBe(false);
  expect([...new Set(proof.differences.map(({ check }) => check))].sort()).toEqual(
    expect.arrayContaining(tables.sort()),
  );
  expect(proof.projections.filter(({ difference_count }) => difference_count === 0)).toEqual([]);
  await aTransaction(api(), { debit: 'receivables:all', credit: 'revenue' });
});
