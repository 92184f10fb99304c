// The tenant's log, in order.
import { z } from 'zod';
import type { Tx } from '../../db.ts';
import { nextPage, PageQuerySchema, pageRequest, pageSchema } from '../../page.ts';
import { checkReached } from '../../position.ts';
import { type Route, readRoute } from '../../route.ts';
import { AfterSchema, checkTouching, kindsOf, TypesSchema } from './event_filters.ts';
import {
  type EventRow,
  EventSchema,
  headPosition,
  listEvents,
  listEventsAt,
  listSubjectPositions,
  renderEvent,
  subjectKinds,
} from './events.ts';
import { mayBeCut } from './page_size.ts';
import type { LogOptions } from './streams.ts';

/** positions that one page looks at when it filters by type, so that a rare type does not make a request long */
const scanned_positions = 20_000;
/** of the data of one page, but for its last event: an event has from half a kilobyte to a few hundred */
const max_bytes = 4 * 1024 * 1024;

/**
 * An account's uuid and the positions where its entries are: ascending, after a position, at most `row_limit`. `account` is an id or a code.
 * The log does not know accounts: whoever does supplies this.
 */
export type AccountPositions = (
  tx: Tx,
  account: string,
  range: { after: number; row_limit: number },
) => Promise<{ account_id: string; positions: number[] }>;

const QuerySchema = PageQuerySchema.extend({
  after: AfterSchema.meta({ description: 'Only events after this position', example: 8812 }),
  types: TypesSchema,
  account: z
    .string()
    .optional()
    .meta({ description: 'Only events that touch this account, by id or code', example: 'customers:alice' }),
});

const PageSchema = pageSchema(EventSchema).extend({
  after: z
    .int()
    .meta({ description: 'How far this page has read: ask again with `?after=` to follow the log' }),
});

export function createRoutes({ kinds, accountPositions, touchesAccounts }: LogOptions): Route[] {
  const subjectOf = subjectKinds(kinds);
  return [
    readRoute({
      method: 'get',
      path: '/v1/events',
      operation_id: 'listEvents',
      summary: 'Read the log',
      description: [
        'Everything that happened in the tenant, one dense sequence of positions in commit order.',
        'With `types` or `account` a page may hold fewer events than `limit`, or none, while `has_more` is true.',
        'So may one of large events, which ends when they have come to some megabytes. A position that the log has not reached is refused:',
        'read anew what you have derived from it.',
      ].join(' '),
      tag: 'Events',
      permission: { action: 'read', subject: 'event' },
      query: QuerySchema,
      responses: { 200: PageSchema },
      problems: ['cursor_invalid', 'cursor_mismatch', 'not_found'],
      async handler(tx, input) {
        const { types = null, account } = input.query;
        const wanted = kindsOf(types, kinds());
        if (account !== undefined) checkTouching(wanted, touchesAccounts);
        const { after: resumed, row_limit } = pageRequest('events', input.query, z.int().nonnegative());
        const range = { after: resumed ?? input.query.after ?? 0, row_limit, types };
        const head = await headPosition(tx);
        checkReached(resumed === null ? '#/query/after' : '#/query/cursor', range.after, head);
        const page =
          account === undefined
            ? await readLog(tx, range, head)
            : await readAccount(tx, range, await accountPositions(tx, account, range));
        const data = page.rows.map((row) => renderEvent(row, subjectOf(row.type))).join(',');
        const { after, has_more } = page;
        const next = has_more ? nextPage('events', input, after) : { next_cursor: null, headers: {} };
        const rest = JSON.stringify({ has_more, next_cursor: next.next_cursor, after });
        return { status: 200, body: `{"data":[${data}],${rest.slice(1)}`, headers: next.headers };
      },
    }),
  ];
}

interface Range {
  after: number;
  /** one more than the page holds */
  row_limit: number;
  types: string[] | null;
}

interface EventPage {
  rows: EventRow[];
  /** the last position that was looked at */
  after: number;
  has_more: boolean;
}

async function readLog(tx: Tx, range: Range, head: number): Promise<EventPage> {
  const up_to = range.types === null ? head : Math.min(head, range.after + scanned_positions);
  const found = await listEvents(tx, { ...range, up_to, max_bytes });
  const rows = found.slice(0, range.row_limit - 1);
  const last = mayBeCut(found, range.row_limit, max_bytes) ? rows.at(-1) : undefined;
  const after = last?.position ?? Math.max(range.after, up_to);
  return { rows, after, has_more: after < head };
}

/** What was posted to the account, and what happened to the account itself. */
async function readAccount(
  tx: Tx,
  range: Range,
  { account_id, positions: posted }: Awaited<ReturnType<AccountPositions>>,
): Promise<EventPage> {
  const changed = await listSubjectPositions(tx, account_id, range);
  const positions = [...new Set([...posted, ...changed])].sort((a, b) => a - b).slice(0, range.row_limit);
  const looked_at = positions.slice(0, range.row_limit - 1);
  const { rows, position } = await listEventsAt(tx, looked_at, { types: range.types, max_bytes });
  const after = position ?? looked_at.at(-1) ?? range.after;
  return { rows, after, has_more: position !== null || positions.length === range.row_limit };
}
