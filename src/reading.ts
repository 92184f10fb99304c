// Lists that tell which position of the log they reflect: JSON by pages, or CSV as a whole.
import { z } from 'zod';
import { csv_content_type, csvText, FormatSchema, max_export_rows, wantsCsv } from './csv.ts';
import { Problem, type ProblemCode } from './errors.ts';
import { nextPage, PageQuerySchema, type PageRequest, pageRequest, pageSchema } from './page.ts';
import { MinPositionSchema } from './position.ts';
import type { Input, Reply } from './route.ts';

/** To be extended by filters. */
export const ReadingQuerySchema = PageQuerySchema.extend({
  min_position: MinPositionSchema,
  format: FormatSchema,
});
type ReadingQuery = z.infer<typeof ReadingQuerySchema>;

export const reading_problems: ProblemCode[] = ['cursor_invalid', 'cursor_mismatch', 'export_too_large'];

export function readingSchema<Item extends z.ZodType>(item: Item) {
  return pageSchema(item).extend({
    position: z.int().min(0).meta({
      description: 'Everything up to this position of the log counts, and nothing after it',
      example: 8812,
    }),
  });
}

/** What was read on one snapshot: one row more than the page holds tells that there are more. */
export interface Found<Row> {
  position: number;
  rows: Row[];
  /** what the answer says besides its items, in JSON */
  head?: Record<string, unknown>;
}

export interface Reading<Key extends z.ZodType, Row, Item extends Record<string, unknown>> {
  /** names the list, for its cursors */
  list: string;
  key: Key;
  item: z.ZodObject;
  read: (page: PageRequest<z.output<Key>>) => Promise<Found<Row>>;
  keyOf: (row: Row) => unknown;
  render: (row: Row) => Item;
}

/** Errors: `cursor_invalid`, `cursor_mismatch`, `export_too_large`. */
export async function replyReading<Key extends z.ZodType, Row, Item extends Record<string, unknown>>(
  input: Pick<Input, 'url' | 'headers'> & { query: ReadingQuery },
  reading: Reading<Key, Row, Item>,
): Promise<Reply> {
  // A page may be asked for in another format and at another position than the one before.
  const { format, min_position: _position, ...filters } = input.query;
  const page = pageRequest(reading.list, filters, reading.key);
  const is_csv = wantsCsv(format, input.headers);
  const is_export = is_csv && filters.limit === undefined;
  if (is_export) page.row_limit = max_export_rows + 1;
  const { position, rows, head } = await reading.read(page);
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
      body: csvText(reading.item, items),
      headers: { ...next?.headers, 'Content-Type': csv_content_type, 'Lattice-Position': String(position) },
    };
  }
  return {
    status: 200,
    body: { ...head, data: items, has_more, next_cursor: next?.next_cursor ?? null, position },
    headers: next?.headers ?? {},
  };
}

function tooLarge(): Problem {
  return new Problem(
    'export_too_large',
    `There are more than ${max_export_rows} rows: narrow the filters, or give a limit and follow Link: rel="next"`,
  );
}
