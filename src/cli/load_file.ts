// The lines of a file of transactions, as items of a bulk request: NDJSON, or CSV with a debit and a credit account in each row.
import { createHash } from 'node:crypto';
import { createReadStream, type ReadStream } from 'node:fs';
import { CsvError, parse } from 'csv-parse';
import { z } from 'zod';
import { Problem } from '../errors.ts';
import { parseLine } from '../http/items.ts';

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

/** far more than 1,000 entries take, and less than a request may have */
const line_bytes_max = 8_000_000;
/** Where a quote is not closed the rest of the file is one row: no more of it is kept. */
const row_bytes_max = 64_000_000;

export type Format = 'ndjson' | 'csv';

const ObjectSchema = z.record(z.string(), z.unknown());

export const csv_columns = [
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

export function readLines(path: string, format: Format, batch: string): AsyncIterable<Line> {
  return keyed(format === 'csv' ? readCsv(path) : readNdjson(path), batch);
}

/**
 * Gives each item a key made of its batch and its content, so that a file, or a part of it, can be loaded again. Two lines of the same
 * content are two transactions: the second one's key counts. A key of the file's own stands for one line of it.
 */
async function* keyed(lines: AsyncIterable<Line>, batch: string): AsyncIterable<Line> {
  const occurrences = new Map<string, number>();
  const lines_by_own_key = new Map<unknown, number>();
  for await (const line of lines) {
    if (line.item === null) {
      yield line;
      continue;
    }
    const { idempotency_key: own_key } = line.item;
    if (own_key !== undefined) {
      const earlier = lines_by_own_key.get(own_key);
      if (earlier === undefined) lines_by_own_key.set(own_key, line.number);
      yield earlier === undefined ? line : { ...line, ...sameKey(earlier) };
      continue;
    }
    const content = JSON.stringify([batch, line.item]);
    const digest = createHash('sha256').update(content).digest('base64url').slice(0, 32);
    const occurrence = (occurrences.get(digest) ?? 0) + 1;
    occurrences.set(digest, occurrence);
    const idempotency_key = `load:${digest}${occurrence === 1 ? '' : `:${occurrence}`}`;
    yield { ...line, item: { ...line.item, idempotency_key } };
  }
}

type Read = Pick<Line, 'item' | 'refusal'>;

function refused(code: string, detail: string): Read {
  return { item: null, refusal: { code, detail } };
}

function sameKey(line: number): Read {
  return refused('invalid_request', `line ${line} has the same idempotency_key`);
}

/** The lines as bytes, so that one that is not UTF-8 is known, and text within it ends none. */
async function* readNdjson(path: string): AsyncIterable<Line> {
  const stream = createReadStream(path, 'latin1');
  let number = 0;
  for await (const text of linesOf(stream)) {
    number += 1;
    if (text.trim() === '') continue;
    yield { number, read_bytes: stream.bytesRead, ...readItem(text.replace(/^\xef\xbb\xbf/, '')) };
  }
}

/** Of a line that is too long as much as shows it, for a file may have no end of a line at all. */
async function* linesOf(stream: ReadStream): AsyncIterable<string> {
  let line = '';
  for await (const piece of stream) {
    const [first = '', ...others] = String(piece).split('\n');
    if (line.length <= line_bytes_max) line += first;
    for (const next of others) {
      yield line;
      line = next;
    }
  }
  yield line;
}

/** As the bulk route reads a line, so that what it would refuse for its text is not sent. */
function readItem(latin1: string): Read {
  if (latin1.length > line_bytes_max) {
    return refused('body_too_large', `the line has more than ${line_bytes_max} bytes`);
  }
  const value = parseLine(latin1);
  if (value instanceof Problem) return refused(value.code, detailOf(value.message, value.options.errors));
  const parsed = ObjectSchema.safeParse(value);
  return parsed.success
    ? { item: parsed.data, refusal: null }
    : refused('invalid_request', 'the line is not a JSON object');
}

/** What a problem says, and of which fields, in one line. */
export function detailOf(detail: string, errors: { pointer: string; detail: string }[] = []): string {
  const fields = errors
    .filter((error) => error.pointer !== '#')
    .map((error) => `${error.pointer} ${error.detail === detail ? '' : error.detail}`.trimEnd());
  return fields.length === 0 ? detail : `${detail}: ${fields.join('; ')}`;
}

const RecordSchema = z.object({ record: z.array(z.string()), info: z.object({ lines: z.number() }) });

async function* readCsv(path: string): AsyncIterable<Line> {
  const stream = createReadStream(path);
  const records = stream.pipe(
    parse({
      ...{ bom: true, info: true, relax_column_count: true, skip_empty_lines: true, trim: true },
      max_record_size: row_bytes_max,
      record_delimiter: ['\r\n', '\n', '\r'],
    }),
  );
  stream.once('error', (error) => records.destroy(error));
  let header: string[] | null = null;
  let counted_twice = 0;
  for await (const parsed of refusingErrors(records)) {
    const { record, info } = RecordSchema.parse(parsed);
    // The parser counts CRLF within quotes as two ends of a line.
    counted_twice += countOf(record, /\r\n/g);
    if (header === null) {
      header = record;
      checkHeader(header);
    } else {
      const number = info.lines - counted_twice - countOf(record, /\r\n?|\n/g);
      yield { number, read_bytes: stream.bytesRead, ...rowItem(header, record) };
    }
  }
  if (header === null) throw new FileRefused('it is empty: the first row has the names of the columns');
}

function countOf(record: string[], what: RegExp): number {
  return record.reduce((count, cell) => count + (cell.match(what)?.length ?? 0), 0);
}

/** Where quotes are not closed nobody can say where the next row begins. */
async function* refusingErrors(records: AsyncIterable<unknown>): AsyncIterable<unknown> {
  try {
    yield* records;
  } catch (error) {
    throw error instanceof CsvError ? new FileRefused(error.message) : error;
  }
}

function checkHeader(header: string[]): void {
  if (header.some(isNotUtf8)) throw new FileRefused('the header is not UTF-8');
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
function rowItem(header: string[], record: string[]): Read {
  if (record.length !== header.length) {
    return refused('invalid_request', `the row has ${record.length} cells, the header ${header.length}`);
  }
  if (Buffer.byteLength(JSON.stringify(record)) > line_bytes_max) {
    return refused('body_too_large', `the row has more than ${line_bytes_max} bytes`);
  }
  if (record.some(isNotUtf8)) return refused('invalid_request', 'the row is not UTF-8');
  const cells = new Map(
    header.map((name, column) => [name, record[column]] as const).filter(([, cell]) => cell !== ''),
  );
  const missing = csv_required.filter((name) => !cells.has(name));
  if (missing.length > 0) {
    return refused('invalid_request', `${missing.join(', ')} is empty`);
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

/** What decoding puts in the place of bytes that are none. */
function isNotUtf8(cell: string): boolean {
  return cell.includes('\ufffd');
}

function pick(cells: Map<string, string | undefined>, names: string[]): Record<string, unknown> {
  return Object.fromEntries(names.filter((name) => cells.has(name)).map((name) => [name, cells.get(name)]));
}
