// Holds the ledger's balances against the totals of the file's period, account by account. The ledger may hold other periods too,
// so what it says is the balance at the period's last instant less the balance just before its first.
import { CsvError, parse } from 'csv-parse/sync';
import { z } from 'zod';
import type { Client } from './client.ts';
import { type Account, balanceAccount, feeAccount, grossAccount } from './postings.ts';
import { categories, FileRefused, type ProcessorRow } from './rows.ts';

/** What one account should have moved by, in the direction in which the processor counts. */
export interface Total {
  label: string;
  currency: string;
  account: Account;
  amount: bigint;
  /** 1 when the processor's plus is the account's plus */
  sign: bigint;
}

export interface Comparison extends Total {
  ledger: bigint;
  scale: number;
}

const minor_units = z
  .string()
  .regex(/^-?[0-9]+$/, 'not an amount in minor units')
  .transform((text) => BigInt(text));

const TotalsSchema = z.array(
  z.object({
    reporting_category: z.enum([...categories, 'ending_balance']),
    currency: z.string().transform((code) => code.toUpperCase()),
    gross: minor_units,
    fee: minor_units,
    net: minor_units,
  }),
);

/** The processor's own totals, from the text of its summary. */
export function readTotals(file: string, text: string): Total[] {
  return totalsOf(file, text).flatMap((line) => {
    const { currency, gross, fee, net } = line;
    if (line.reporting_category === 'ending_balance') return [balanceTotal(currency, net)];
    const category = line.reporting_category;
    return categoryTotals(category, currency, gross, fee);
  });
}

/** Throws FileRefused, as an export does that is not understood. */
function totalsOf(file: string, text: string): z.infer<typeof TotalsSchema> {
  try {
    const parsed = TotalsSchema.safeParse(parse(text, { bom: true, columns: true, trim: true }));
    if (parsed.success) return parsed.data;
    const reasons = parsed.error.issues.map(({ path: [at, column], message }) => {
      return `total ${Number(at) + 1}, ${String(column)}: ${message}`;
    });
    throw new FileRefused(file, reasons);
  } catch (error) {
    if (error instanceof CsvError) throw new FileRefused(file, [`not CSV: ${error.message}`]);
    throw error;
  }
}

/** The same sums taken from the rows, for a file without a summary. */
export function sumRows(rows: ProcessorRow[]): Total[] {
  return [...Map.groupBy(rows, (row) => row.currency)].flatMap(([currency, own]) => [
    ...[...Map.groupBy(own, (row) => row.category)].flatMap(([category, alike]) =>
      categoryTotals(
        category,
        currency,
        alike.reduce((sum, row) => sum + row.amount, 0n),
        alike.reduce((sum, row) => sum + row.fee, 0n),
      ),
    ),
    balanceTotal(
      currency,
      own.reduce((sum, row) => sum + row.net, 0n),
    ),
  ]);
}

/** The totals beside what the ledger says about the period of the rows. */
export async function compareWithLedger(
  client: Client,
  totals: Total[],
  rows: ProcessorRow[],
): Promise<Comparison[]> {
  const instants = rows.map((row) => row.created).sort();
  const first = instants.at(0);
  const last = instants.at(-1);
  if (first === undefined || last === undefined) return [];
  const before = new Date(Date.parse(first) - 1).toISOString();
  return Promise.all(
    totals.map(async (total) => {
      const [closing, opening] = await Promise.all([
        balanceAsOf(client, total.account, last),
        balanceAsOf(client, total.account, before),
      ]);
      return { ...total, ledger: (closing.balance - opening.balance) * total.sign, scale: closing.scale };
    }),
  );
}

const BalanceSchema = z
  .object({ scale: z.int(), posted: z.object({ balance: minor_units }) })
  .transform(({ scale, posted }) => ({ scale, balance: posted.balance }));

async function balanceAsOf(client: Client, account: Account, as_of: string) {
  return client.get(`/v1/accounts/${account.code}/balance?as_of=${as_of}`, BalanceSchema);
}

/** Fees only where there are any: the others have no account. */
function categoryTotals(
  category: ProcessorRow['category'],
  currency: string,
  gross: bigint,
  fee: bigint,
): Total[] {
  const account = grossAccount(category, currency);
  // Revenue grows with what comes in; the other accounts are the far side of the processor's balance.
  const sign = account.type === 'revenue' ? 1n : -1n;
  return [
    { label: category, currency, account, amount: gross, sign },
    ...(fee === 0n
      ? []
      : [
          {
            label: `${category}, fees`,
            currency,
            account: feeAccount(category, currency),
            amount: fee,
            sign: 1n,
          },
        ]),
  ];
}

function balanceTotal(currency: string, amount: bigint): Total {
  return { label: 'balance at the processor', currency, account: balanceAccount(currency), amount, sign: 1n };
}
