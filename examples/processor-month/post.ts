// Posts a processor's balance-transaction export through the public API and holds the ledger against the processor's own totals.
// Every key and reference comes from the processor's ids, so posting a file twice, or half of it and then all of it, changes nothing.
//
//   npm run seed -- [--url http://127.0.0.1:8420 --key lk_live_…] [--totals FILE] [FILE]
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { findTarget } from '../target.ts';
import { Client, RequestRefused } from './client.ts';
import { type Comparison, compareWithLedger, readTotals, sumRows } from './compare.ts';
import { type Account, accountsOf, type Transaction, transactionOf } from './postings.ts';
import { type ProcessorRow, readRows } from './rows.ts';

export const demo_month = fileURLToPath(new URL('2026-10.csv', import.meta.url));
const bulk_size = 1_000;

export interface PostedMonth {
  rows: number;
  /** transactions that this run added */
  posted: number;
  /** transactions that were there before it */
  unchanged: number;
  comparisons: Comparison[];
  /** comparisons whose two sides differ */
  differences: number;
}

export interface PostOptions {
  url: string;
  api_key: string;
  /** an export; absent means the demo month */
  file?: string;
  /** the processor's totals; absent means the file of the same name that ends in `.totals.csv`, if there is one */
  totals_file?: string;
  log: (line: string) => void;
}

/** Throws FileRefused before anything is posted, and RequestRefused when the ledger says no. */
export async function postProcessorMonth(options: PostOptions): Promise<PostedMonth> {
  const file = options.file ?? demo_month;
  const { rows, unused_columns } = readRows(basename(file), readFileSync(file, 'utf8'));
  if (unused_columns.length > 0) options.log(`columns not used: ${unused_columns.join(', ')}`);
  options.log(payoutLine(rows));

  const totals_file = options.totals_file ?? file.replace(/(\.csv)?$/, '.totals.csv');
  const has_totals = options.totals_file !== undefined || existsSync(totals_file);
  if (!has_totals)
    options.log(`there is no ${basename(totals_file)}: the rows' own sums stand in for the totals`);
  const totals = has_totals
    ? readTotals(basename(totals_file), readFileSync(totals_file, 'utf8'))
    : sumRows(rows);

  const client = new Client(options.url, options.api_key);
  const accounts = new Map(
    [...accountsOf(rows), ...totals.map((total) => total.account)].map((account) => [account.code, account]),
  );
  await Promise.all([...accounts.values()].map((account) => openAccount(client, account)));
  const transactions = rows.map(transactionOf).filter((transaction) => transaction !== null);
  const posted = await postTransactions(client, transactions);
  const unchanged = transactions.length - posted;
  options.log(`${rows.length} rows: ${posted} transactions posted, ${unchanged} were there already`);

  const comparisons = await compareWithLedger(client, totals, rows);
  const differences = comparisons.filter(({ amount, ledger }) => amount !== ledger).length;
  for (const line of comparisonLines(comparisons, has_totals ? 'processor' : 'file')) options.log(line);
  options.log(
    differences === 0
      ? `the ${has_totals ? "processor's totals" : "file's sums"} and the ledger agree to the cent: ${comparisons.length} of ${comparisons.length}`
      : `${differences} of ${comparisons.length} totals DIFFER from the ledger`,
  );
  return { rows: rows.length, posted, unchanged, comparisons, differences };
}

const AccountSchema = z.object({ type: z.string(), currency: z.string() });

/** Opens the account, or finds that it is there and is what it should be. */
async function openAccount(client: Client, account: Account): Promise<void> {
  try {
    await client.post(
      '/v1/accounts',
      `processor-month:${account.code}`,
      JSON.stringify({ ...account, metadata: { source: 'processor-month' } }),
      AccountSchema,
    );
  } catch (error) {
    if (!(error instanceof RequestRefused) || error.code !== 'account_code_taken') throw error;
    const there = await client.get(`/v1/accounts/${account.code}`, AccountSchema);
    if (there.type !== account.type || there.currency !== account.currency) {
      throw new Error(
        `the account ${account.code} is ${there.type} in ${there.currency}, not ${account.type} in ${account.currency}`,
      );
    }
  }
}

const HeadSchema = z.object({ position: z.int() });
const BulkSchema = z.object({
  results: z.array(
    z.union([
      z.object({ transaction: z.object({ position: z.int() }) }),
      z.object({ problem: z.object({ code: z.string(), detail: z.string() }) }),
    ]),
  ),
});

/** Answers how many were new: those above the position at which the log stood before. */
async function postTransactions(client: Client, transactions: Transaction[]): Promise<number> {
  const some_account = transactions.at(0)?.entries.at(0)?.account;
  if (some_account === undefined) return 0;
  const head = await client.get(`/v1/accounts/${some_account}/balance`, HeadSchema);
  const refused: string[] = [];
  let posted = 0;
  for (let start = 0; start < transactions.length; start += bulk_size) {
    const items = transactions.slice(start, start + bulk_size);
    const body = JSON.stringify({ atomic: false, transactions: items });
    const key = `processor-month:${createHash('sha256').update(body).digest('hex')}`;
    const { results } = await client.post('/v1/transactions/bulk', key, body, BulkSchema);
    for (const [at, result] of results.entries()) {
      if ('problem' in result) {
        refused.push(`${items[at]?.reference}: ${result.problem.code}: ${result.problem.detail}`);
      } else if (result.transaction.position > head.position) posted += 1;
    }
  }
  if (refused.length > 0)
    throw new Error(`the ledger refused ${refused.length} rows:\n  ${refused.join('\n  ')}`);
  return posted;
}

/** Says of how many payouts the file has exactly the rows that they pay out. */
function payoutLine(rows: ProcessorRow[]): string {
  const payouts = rows.filter((row) => row.category === 'payout' && row.payout_id !== null);
  const settled = Map.groupBy(
    rows.filter((row) => row.category !== 'payout'),
    (row) => row.payout_id,
  );
  const whole = payouts.filter(
    (payout) => (settled.get(payout.payout_id) ?? []).reduce((sum, row) => sum + row.net, payout.net) === 0n,
  );
  return `${whole.length} of ${payouts.length} payouts are the sum of the rows that they settle`;
}

function comparisonLines(comparisons: Comparison[], other_side: string): string[] {
  const cells = comparisons.map(({ label, currency, amount, ledger, scale }) => [
    `${currency} ${label}`,
    decimal(amount, scale),
    decimal(ledger, scale),
    amount === ledger ? '=' : 'DIFFERS',
  ]);
  const header = ['', other_side, 'ledger', ''];
  const widths = header.map((_, column) =>
    Math.max(...[header, ...cells].map((row) => Number(row[column]?.length))),
  );
  return [header, ...cells].map((row) =>
    row
      .map((cell, column) =>
        column === 0 ? cell.padEnd(Number(widths[0])) : cell.padStart(Number(widths[column])),
      )
      .join('  ')
      .trimEnd(),
  );
}

/** 123456 with scale 2 → 1,234.56 */
function decimal(amount: bigint, scale: number): string {
  const digits = String(amount < 0n ? -amount : amount).padStart(scale + 1, '0');
  const whole = digits.slice(0, digits.length - scale).replace(/\B(?=(\d{3})+$)/g, ',');
  return `${amount < 0n ? '-' : ''}${whole}${scale === 0 ? '' : `.${digits.slice(-scale)}`}`;
}

if (import.meta.main) {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: { url: { type: 'string' }, key: { type: 'string' }, totals: { type: 'string' } },
    });
    const [file, more] = positionals;
    if (more !== undefined) throw new Error(`one export at a time: what is ${more}?`);
    // Whoever reads may go (`| head -1`): what was begun is brought to its end.
    process.stdout.on('error', () => {});
    const month = await postProcessorMonth({
      ...findTarget(values.url, values.key),
      ...(file === undefined ? {} : { file }),
      ...(values.totals === undefined ? {} : { totals_file: values.totals }),
      log: console.log,
    });
    if (month.differences > 0) process.exitCode = 1;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}
