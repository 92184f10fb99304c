// The lines of a file of transactions, as items of a bulk request: NDJSON, or CSV with a debit and a credit account in each row.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { parse } from 'csv-parse';
import { z } from 'zod';

/** A line of the file: an item to post, or why it cannot be one. */
export interface Line {
  number: number;
  /** how much of the file has been read, in bytes */
  read_bytes: number;
  item: Record<string, unknown> | null;
  refusal: { code: string; detail: string } | null;
}

/** The file as a whole cannot be loaded. */
export class FileRefused extends Error {}

export type Format = 'ndjson' | 'csv';

const ObjectSchema = z.record(z.string(), z.unknown());

const csv_columns = [
  'debit_account',
  'credit_account',
  'amount',
  'currency',
  'effective_at',
  'description',
  'reference',
  'status',
  'expires_at',
  'idempotency_key',
] as const;
const csv_required = ['debit_account', 'credit_account', 'amount'];
const metadata_prefix = 'metadata.';

export function formatOf(path: string): Format | null {
  if (/\.(ndjson|jsonl|json)$/i.test(path)) return 'ndjson';
  return /\.csv$/i.test(path) ? 'csv' : null;
}

export function readLines(path: string, format: Format): AsyncIterable<Line> {
  return keyed(format === 'csv' ? readCsv(path) : readNdjson(path));
}

/**
 * Gives each item a key made of its content, so that a file, or a part of it, can be loaded again. Two lines of the same content are
 * two transactions: the second one's key counts.
 */
async function* keyed(lines: AsyncIterable<Line>): AsyncIterable<Line> {
  const occurrences = new Map<string, number>();
  for await (const line of lines) {
    if (line.item === null || line.item.idempotency_key !== undefined) {
      yield line;
      continue;
    }
    const digest = createHash('sha256').update(JSON.stringify(line.item)).digest('base64url').slice(0, 32);
    const occurrence = (occurrences.get(digest) ?? 0) + 1;
    occurrences.set(digest, occurrence);
    const idempotency_key = `load:${digest}${occurrence === 1 ? '' : `:${occurrence}`}`;
    yield { ...line, item: { ...line.item, idempotency_key } };
  }
}

async function* readNdjson(path: string): AsyncIterable<Line> {
  const stream = createReadStream(path, 'utf8');
  let number = 0;
  for await (const text of createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })) {
    number += 1;
    if (text.trim() === '') continue;
    yield { number, read_bytes: stream.bytesRead, ...parseItem(text.replace(/^\ufeff/, '')) };
  }
}

function parseItem(text: string): Pick<Line, 'item' | 'refusal'> {
  try {
    const parsed = ObjectSchema.safeParse(JSON.parse(text));
    if (parsed.success) return { item: parsed.data, refusal: null };
    return { item: null, refusal: { code: 'invalid_request', detail: 'the line is not a JSON object' } };
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    return { item: null, refusal: { code: 'malformed_json', detail } };
  }
}

const RecordSchema = z.object({ record: z.array(z.string()), info: z.object({ lines: z.number() }) });

async function* readCsv(path: string): AsyncIterable<Line> {
  const stream = createReadStream(path);
  const records = stream.pipe(
    parse({ bom: true, info: true, relax_column_count: true, skip_empty_lines: true, trim: true }),
  );
  stream.once('error', (error) => records.destroy(error));
  let header: string[] | null = null;
  let number = 1;
  for await (const parsed of records) {
    const { record, info } = RecordSchema.parse(parsed);
    if (header === null) {
      header = record;
      checkHeader(header);
    } else {
      yield { number, read_bytes: stream.bytesRead, ...rowItem(header, record) };
    }
    number = info.lines + 1;
  }
}

function checkHeader(header: string[]): void {
  const missing = csv_required.filter((name) => !header.includes(name));
  if (missing.length > 0) throw new FileRefused(`the header misses ${missing.join(', ')}`);
  const unknown = header.filter(
    (name) => !csv_columns.some((known) => known === name) && !name.startsWith(metadata_prefix),
  );
  if (unknown.length > 0) {
    throw new FileRefused(
      `unknown columns ${unknown.join(', ')}; known are ${csv_columns.join(', ')} and ${metadata_prefix}<name>`,
    );
  }
  if (new Set(header).size < header.length) throw new FileRefused('a column comes twice');
}

/** A cell that is empty is absent. */
function rowItem(header: string[], record: string[]): Pick<Line, 'item' | 'refusal'> {
  if (record.length !== header.length) {
    const detail = `the row has ${record.length} cells, the header ${header.length}`;
    return { item: null, refusal: { code: 'invalid_request', detail } };
  }
  const cells = new Map(
    header.map((name, column) => [name, record[column]] as const).filter(([, cell]) => cell !== ''),
  );
  const missing = csv_required.filter((name) => !cells.has(name));
  if (missing.length > 0) {
    return { item: null, refusal: { code: 'invalid_request', detail: `${missing.join(', ')} is empty` } };
  }
  const entry = (direction: 'debit' | 'credit') => ({
    account: cells.get(`${direction}_account`),
    direction,
    amount: cells.get('amount'),
    ...pick(cells, ['currency']),
  });
  const metadata = [...cells]
    .filter(([name]) => name.startsWith(metadata_prefix))
    .map(([name, cell]) => [name.slice(metadata_prefix.length), cell]);
  const item = {
    entries: [entry('debit'), entry('credit')],
    ...pick(cells, ['effective_at', 'description', 'reference', 'status', 'expires_at', 'idempotency_key']),
    ...(metadata.length === 0 ? {} : { metadata: Object.fromEntries(metadata) }),
  };
  return { item, refusal: null };
}

function pick(cells: Map<string, string | undefined>, names: string[]): Record<string, unknown> {
  return Object.fromEntries(names.filter((name) => cells.has(name)).map((name) => [name, cells.get(name)]));
}
