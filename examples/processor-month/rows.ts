// Reads a processor's balance-transaction export. Either every row is understood, or the file is refused with a line for each thing
// that is not: half a month in a ledger is worse than none.
import { CsvError, parse } from 'csv-parse/sync';
import { z } from 'zod';

/** One movement of the balance that the processor holds for us. Amounts in minor units, signed as they move that balance. */
export interface ProcessorRow {
  line: number;
  id: string;
  /** what the totals group by: `charge`, `refund`, `dispute` … */
  category: Category;
  amount: bigint;
  fee: bigint;
  net: bigint;
  /** ISO 4217, upper case */
  currency: string;
  /** RFC 3339 */
  created: string;
  available_on: string | null;
  /** the charge, refund, dispute or payout behind the movement */
  source: string | null;
  payout_id: string | null;
  description: string | null;
}

/** Reporting categories that the ledger has accounts for (postings.ts). */
export const categories = [
  'charge',
  'refund',
  'dispute',
  'dispute_reversal',
  'payout',
  'payout_reversal',
  'fee',
  'network_cost',
  'transfer',
  'transfer_reversal',
  'topup',
  'topup_reversal',
  'other_adjustment',
] as const;

export type Category = (typeof categories)[number];

/** Where a file has no reporting_category, the type says what a row is. */
const category_of_type: Record<string, Category> = {
  charge: 'charge',
  payment: 'charge',
  refund: 'refund',
  payment_refund: 'refund',
  adjustment: 'other_adjustment',
  payout: 'payout',
  payout_failure: 'payout_reversal',
  payout_cancel: 'payout_reversal',
  stripe_fee: 'fee',
  processor_fee: 'fee',
  network_cost: 'network_cost',
  transfer: 'transfer',
  transfer_refund: 'transfer_reversal',
  topup: 'topup',
  topup_reversal: 'topup_reversal',
};

/** Other names that exports have for the columns of the processor's API. */
const aliases: Record<string, string> = {
  balance_transaction_id: 'id',
  source_id: 'source',
  gross: 'amount',
  created_utc: 'created',
  available_on_utc: 'available_on',
  payout_id: 'automatic_payout_id',
};

const required = ['id', 'type', 'amount', 'fee', 'net', 'currency', 'created'];
const optional = ['available_on', 'source', 'description', 'reporting_category', 'automatic_payout_id'];

/** What is wrong with a file, one sentence each. */
export class FileRefused extends Error {
  readonly reasons: string[];

  constructor(file: string, reasons: string[]) {
    super(`${file} was refused, nothing was posted:\n${reasons.map((reason) => `  ${reason}`).join('\n')}`);
    this.name = 'FileRefused';
    this.reasons = reasons;
  }
}

const RecordsSchema = z.array(z.object({ info: z.object({ lines: z.int() }), record: z.array(z.string()) }));

/** The rows of the export's text, and the columns that nothing here reads. */
export function readRows(file: string, text: string): { rows: ProcessorRow[]; unused_columns: string[] } {
  const [header, ...records] = readRecords(file, text);
  if (header === undefined) throw new FileRefused(file, ['the file is empty']);
  const columns = header.record.map((column) => aliases[column] ?? column);
  refuseColumns(file, columns, header.record);

  const reasons: string[] = [];
  const seen = new Map<string, number>();
  const rows: ProcessorRow[] = [];
  for (const { info, record } of records) {
    const line = info.lines;
    if (record.length !== columns.length) {
      reasons.push(`line ${line}: ${record.length} values for ${columns.length} columns`);
      continue;
    }
    const values = new Map(columns.map((column, at) => [column, record[at]]));
    const parsed = RowSchema.safeParse(Object.fromEntries(values));
    if (!parsed.success) {
      for (const issue of parsed.error.issues) {
        const column = issue.path.join('.');
        reasons.push(`line ${line}, ${column} "${values.get(column)}": ${issue.message}`);
      }
      continue;
    }
    const first_line = seen.get(parsed.data.id);
    if (first_line !== undefined) {
      reasons.push(`line ${line}, id "${parsed.data.id}": already on line ${first_line}`);
      continue;
    }
    seen.set(parsed.data.id, line);
    rows.push({ line, ...parsed.data });
  }
  if (reasons.length > 0) throw new FileRefused(file, reasons);
  const known = [...required, ...optional];
  return { rows, unused_columns: columns.filter((column) => !known.includes(column)) };
}

function readRecords(file: string, text: string): z.infer<typeof RecordsSchema> {
  try {
    return RecordsSchema.parse(
      parse(text, { bom: true, info: true, relax_column_count: true, skip_empty_lines: true, trim: true }),
    );
  } catch (error) {
    if (error instanceof CsvError) throw new FileRefused(file, [`not CSV: ${error.message}`]);
    throw error;
  }
}

function refuseColumns(file: string, columns: string[], given: string[]): void {
  if (columns.includes('arrival_date') && !columns.includes('net')) {
    throw new FileRefused(file, [
      'this is a list of payouts; their money is moved by the rows of type payout in the balance transactions: give that export',
    ]);
  }
  const reasons = required
    .filter((column) => !columns.includes(column))
    .map((column) => `there is no column ${column}; the columns are ${given.join(', ')}`);
  const twice = columns.filter((column, at) => columns.indexOf(column) !== at);
  reasons.push(...twice.map((column) => `the column ${column} is there twice`));
  if (reasons.length > 0) throw new FileRefused(file, reasons);
}

const minor_units = z
  .string()
  .regex(/^-?(0|[1-9]\d{0,37})$/, 'not an amount in minor units, such as 1299 for 12.99')
  .transform((text) => BigInt(text));

/** ISO with or without zone (without one it is UTC, as in the processor's exports), or seconds since 1970 → RFC 3339 */
const instant = z.string().transform((text, context) => {
  const iso = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)(Z|[+-]\d\d:?\d\d| ?UTC)?)?$/.exec(
    text,
  );
  const [, date, time = '00:00:00', zone = 'Z'] = iso ?? [];
  const written = /^\d{9,11}$/.test(text)
    ? Number(text) * 1_000
    : date === undefined
      ? Number.NaN
      : Date.parse(`${date}T${time}${zone.trim() === 'UTC' ? 'Z' : zone}`);
  if (Number.isNaN(written)) {
    context.addIssue({
      code: 'custom',
      message: 'not an instant: 2026-10-01T09:00:00Z, 2026-10-01 09:00:00 or 1790845200',
    });
    return z.NEVER;
  }
  return new Date(written).toISOString();
});

const blank_is_null = z.string().transform((text) => (text === '' ? null : text));
const optional_text = blank_is_null.default(null);

const RowSchema = z
  .object({
    id: z.string().regex(/^[\x21-\x7e]{1,200}$/, 'not an id'),
    type: z.string().min(1, 'missing'),
    reporting_category: optional_text,
    amount: minor_units,
    fee: minor_units,
    net: minor_units,
    currency: z
      .string()
      .regex(/^[A-Za-z]{3}$/, 'not a currency code of three letters')
      .transform((code) => code.toUpperCase()),
    created: instant,
    available_on: z.union([z.literal('').transform(() => null), instant]).default(null),
    source: optional_text,
    automatic_payout_id: optional_text,
    description: optional_text,
  })
  .transform(({ type, reporting_category, automatic_payout_id, ...row }, context) => {
    if (row.amount - row.fee !== row.net) {
      context.addIssue({
        code: 'custom',
        path: ['net'],
        message: `amount ${row.amount} less fee ${row.fee} is ${row.amount - row.fee}`,
      });
    }
    const category =
      reporting_category === null
        ? category_of_type[type]
        : categories.find((each) => each === reporting_category);
    if (category === undefined) {
      context.addIssue({
        code: 'custom',
        path: [reporting_category === null ? 'type' : 'reporting_category'],
        message: `not one that has accounts here: ${(reporting_category === null ? Object.keys(category_of_type) : categories).join(', ')}`,
      });
      return z.NEVER;
    }
    return { ...row, category, payout_id: automatic_payout_id };
  });
