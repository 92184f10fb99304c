// Lists: keyset cursors. A cursor is opaque to clients: where the page ended, and a fingerprint of the filters it belongs to.
import { hash } from 'node:crypto';
import { z } from 'zod';
import { Problem } from './errors.ts';
import type { Reply } from './route.ts';

const default_limit = 50;
const max_limit = 200;
/** A key holds a text of 500 characters at most, of which JSON makes up to six bytes each, and base64 a third more. */
const max_cursor_length = 6_000;

/** The query parameters of every list, to be extended by its filters. */
export const PageQuerySchema = z.strictObject({
  limit: z
    .string()
    .regex(/^[0-9]{1,4}$/, `a limit is a whole number from 1 to ${max_limit}`)
    .transform(Number)
    .pipe(z.int().min(1).max(max_limit))
    .optional()
    .meta({ description: `Items on a page, 1 to ${max_limit}; ${default_limit} when absent`, example: 50 }),
  cursor: z
    .string()
    .optional()
    .meta({ description: 'The `next_cursor` of the page before; the filters stay the same' }),
});

/** The answer of every list. */
export function pageSchema<Item extends z.ZodType>(item: Item) {
  return z.object({
    data: z.array(item),
    has_more: z.boolean(),
    next_cursor: z.string().nullable(),
  });
}

interface PageQuery {
  limit?: number | undefined;
  cursor?: string | undefined;
}

/** What a list's query needs: how many rows to ask for (one more than the page, which tells whether there are more) and where to go on. */
export interface PageRequest<Key> {
  row_limit: number;
  /** the key of the last item of the page before; null on the first page */
  after: Key | null;
}

/**
 * Reads `limit` and `cursor` of a list's query. `key` is the schema of what orders the list; `list` names it, so that a cursor of another
 * list is refused too.
 * Errors: `cursor_invalid`, `cursor_mismatch`.
 */
export function pageRequest<Key extends z.ZodType>(
  list: string,
  query: PageQuery,
  key: Key,
): PageRequest<z.output<Key>> {
  const row_limit = (query.limit ?? default_limit) + 1;
  if (query.cursor === undefined) return { row_limit, after: null };
  const [fingerprint, after] = decodeCursor(query.cursor);
  if (fingerprint !== fingerprintOf(list, query)) {
    throw new Problem(
      'cursor_mismatch',
      'The cursor belongs to a list with other filters; begin without cursor',
      {
        errors: [{ pointer: '#/query/cursor', code: 'cursor_mismatch', detail: 'made for other filters' }],
      },
    );
  }
  const parsed = key.safeParse(after);
  if (!parsed.success) throw invalidCursor();
  return { row_limit, after: parsed.data };
}

/**
 * The answer of a list, from the rows that were asked for by `pageRequest`. `keyOf` says what orders an item, `render` what is shown.
 */
export function pageReply<Row, Item>(
  list: string,
  input: { url: string; query: PageQuery },
  rows: Row[],
  keyOf: (row: Row) => unknown,
  render: (row: Row) => Item,
): Reply {
  const limit = input.query.limit ?? default_limit;
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  if (rows.length <= limit || last === undefined) {
    return { status: 200, body: { data: shown.map(render), has_more: false, next_cursor: null } };
  }
  const { next_cursor, headers } = nextPage(list, input, keyOf(last));
  return { status: 200, body: { data: shown.map(render), has_more: true, next_cursor }, headers };
}

/** The cursor and the link to what follows the item with this key. */
export function nextPage(list: string, input: { url: string; query: PageQuery }, key: unknown) {
  const next_cursor = encodeCursor(fingerprintOf(list, input.query), key);
  return { next_cursor, headers: { Link: `<${nextUrl(input.url, next_cursor)}>; rel="next"` } };
}

/** The limit may change from page to page, and the order in which filters are given; the filters may not. */
function fingerprintOf(list: string, query: PageQuery): string {
  const { limit: _limit, cursor: _cursor, ...filters } = query;
  return hash('sha256', JSON.stringify([list, inOrder(filters)]), 'base64url').slice(0, 16);
}

/** The names and values of a query, and within them those of its metadata, in the order of names. */
function inOrder(fields: object): unknown[] {
  return Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]: [string, unknown]) => [
      name,
      typeof value === 'object' && value !== null ? inOrder(value) : value,
    ]);
}

function encodeCursor(fingerprint: string, key: unknown): string {
  return Buffer.from(JSON.stringify([fingerprint, key])).toString('base64url');
}

const CursorSchema = z.tuple([z.string(), z.unknown()]);

function decodeCursor(cursor: string): [string, unknown] {
  if (!/^[A-Za-z0-9_-]+$/.test(cursor) || cursor.length > max_cursor_length) throw invalidCursor();
  const parsed = CursorSchema.safeParse(jsonOrNull(Buffer.from(cursor, 'base64url').toString()));
  if (!parsed.success) throw invalidCursor();
  return parsed.data;
}

function jsonOrNull(text: string): unknown {
  try {
    return JSON.parse(text, (_name, value: unknown) =>
      typeof value === 'string' && (value.includes('\0') || !value.isWellFormed()) ? null : value,
    );
  } catch {
    // Not JSON, so not a cursor of ours: the caller refuses what is null, as it does a text that Postgres would refuse.
    return null;
  }
}

function invalidCursor(): Problem {
  const detail = 'not a cursor that this list has given';
  return new Problem('cursor_invalid', 'The cursor is not one that this list has given', {
    errors: [{ pointer: '#/query/cursor', code: 'cursor_invalid', detail }],
  });
}

function nextUrl(url: string, cursor: string): string {
  // Only the first question mark ends the path: a filter may have one too.
  const end = url.includes('?') ? url.indexOf('?') : url.length;
  const query = new URLSearchParams(url.slice(end));
  query.set('cursor', cursor);
  return `${url.slice(0, end)}?${query}`;
}
