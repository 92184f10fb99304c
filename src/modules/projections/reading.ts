// What the lists of all projections have in common: they wait for a position if asked to, read on one snapshot, say which position they
// reflect, and are JSON by pages or CSV as a whole.
import { z } from 'zod';
import { csv_content_type, csvText, FormatSchema, max_export_rows, wantsCsv } from '../../csv.ts';
import type { Database, Tx } from '../../db.ts';
import { Problem, type ProblemCode } from '../../errors.ts';
import { nextPage, PageQuerySchema, type PageRequest, pageRequest, pageSchema } from '../../page.ts';
import type { Input, Reply } from '../../route.ts';
import { findReached, MinPositionSchema, waitForPosition } from './positions.ts';

/** To be extended by filters. */
export const ReadingQuerySchema = PageQuerySchema.extend({
  min_position: MinPositionSchema,
  format: FormatSchema,
});
type ReadingQuery = z.infer<typeof ReadingQuerySchema>;

export const reading_problems: ProblemCode[] = [
  'cursor_invalid',
  'cursor_mismatch',
  'projection_behind',
  'export_too_large',
];

export function readingSchema<Item extends z.ZodType>(item: Item) {
  return pageSchema(item).extend({
    position: z.int().min(0).meta({
      description: 'Everything up to this position of the log counts, and nothing after it',
      example: 8812,
    }),
  });
}

/** The fields of an item, in their order. */
export function columnsOf(item: z.ZodObject): string[] {
  return Object.keys(item.shape);
}

export interface Reading<Key extends z.ZodType, Row, Item extends Record<string, unknown>> {
  /** of the projection */
  projection: string;
  /** names the list, for its cursors */
  list: string;
  key: Key;
  /** of the CSV */
  columns: string[];
  read: (tx: Tx, version: number, page: PageRequest<z.output<Key>>) => Promise<Row[]>;
  keyOf: (row: Row) => unknown;
  render: (row: Row) => Item;
}

/** Errors: `cursor_invalid`, `cursor_mismatch`, `invalid_request`, `projection_behind`, `export_too_large`. */
export async function replyReading<Key extends z.ZodType, Row, Item extends Record<string, unknown>>(
  database: Database,
  input: Pick<Input, 'principal' | 'url' | 'headers'> & { query: ReadingQuery },
  reading: Reading<Key, Row, Item>,
): Promise<Reply> {
  const { principal, query, headers } = input;
  // A page may be asked for in another format and at another position than the one before.
  const { format, min_position, ...filters } = query;
  const page = pageRequest(reading.list, filters, reading.key);
  const is_csv = wantsCsv(format, headers);
  const is_export = is_csv && query.limit === undefined;
  if (is_export) page.row_limit = max_export_rows + 1;
  await waitForPosition(database, principal.tenant_id, reading.projection, min_position);
  const { position, rows } = await database.read(principal, async (tx) => {
    const reached = await findReached(tx, reading.projection);
    return { position: reached.position, rows: await reading.read(tx, reached.version, page) };
  });
  const shown = rows.slice(0, page.row_limit - 1);
  const last = shown.at(-1);
  const has_more = rows.length > shown.length;
  if (is_export && has_more) throw tooLarge();
  const next =
    has_more && last !== undefined
      ? nextPage(reading.list, { url: input.url, query: filters }, reading.keyOf(last))
      : null;
  const items = shown.map(reading.render);
  if (is_csv) {
    return {
      status: 200,
      body: csvText(reading.columns, items),
      headers: { ...next?.headers, 'Content-Type': csv_content_type, 'Lattice-Position': String(position) },
    };
  }
  return {
    status: 200,
    body: { data: items, has_more, next_cursor: next?.next_cursor ?? null, position },
    headers: next?.headers ?? {},
  };
}

function tooLarge(): Problem {
  return new Problem(
    'export_too_large',
    `There are more than ${max_export_rows} rows: narrow the filters, or give a limit and follow Link: rel="next"`,
  );
}
