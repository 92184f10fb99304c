// GET /v1/events/stream: the tenant's log as it grows, from any position on.
import { z } from 'zod';
import type { Database, Tx } from '../../db.ts';
import type { EventKind } from '../../event.ts';
import { encodeId, maybeDecodeId } from '../../id.ts';
import { type Input, type StreamRoute, streamRoute } from '../../route.ts';
import { type BeginFeed, idMessage, message, StreamQuerySchema } from '../../stream.ts';
import { EventFeed } from './event_feed.ts';
import { AfterSchema, checkTouching, kindsOf, matchesNothing, TypesSchema } from './event_filters.ts';
import { EventSchema } from './events.ts';
import type { Filter } from './filter.ts';
import type { AccountPositions } from './routes.ts';
import type { LogOptions, Streams } from './streams.ts';
import type { Bounds } from './tails.ts';

/** beyond any position */
const endless = Number.MAX_SAFE_INTEGER;

const QuerySchema = StreamQuerySchema.extend({
  after: AfterSchema.meta({
    description:
      'Begin after this position. `Last-Event-ID` goes before it; without either the stream begins with what happens from now on',
    example: 8812,
  }),
  types: TypesSchema,
  account: z.string().optional().meta({
    description: 'Only events that touch this account, by id or code',
    example: 'customers:alice',
  }),
  account_prefix: z
    .string()
    .regex(/^[A-Za-z0-9_.:-]{1,255}$/, 'a prefix of codes')
    .optional()
    .meta({
      description: 'Only events that touch an account whose code begins with this',
      example: 'customers:',
    }),
  subject: z.string().optional().meta({
    description: 'Only events about the thing with this id',
    example: 'txn_01h455vb4pex5vsknk084sn02q',
  }),
});
type Query = z.infer<typeof QuerySchema>;

const ResetSchema = z
  .object({
    reason: z.enum(['ahead_of_log', 'beyond_retention']),
    requested: z.int().meta({ description: 'The position after which the stream was asked to begin' }),
    position: z.int().meta({ description: 'The position after which it begins' }),
  })
  .meta({ id: 'StreamReset' });

export function eventStreamRoute(
  database: Database,
  { tails, pages }: Streams,
  { kinds, accountPositions, touchesAccounts }: LogOptions,
): StreamRoute {
  return streamRoute({
    method: 'get',
    path: '/v1/events/stream',
    operation_id: 'streamEvents',
    summary: 'Follow the log',
    description: [
      'The same events as `GET /v1/events`, as `text/event-stream`: one message for each, its `id` the position, its `data` the event.',
      'Whoever comes back with `Last-Event-ID` (browsers do by themselves) goes on where it was, without gap or duplicate.',
      'A message without `data` only moves the id on; the second of these says that the stream has caught up and is live. Every 15 s there is',
      'a comment at least. All filters that are given must match.',
      'When the position is one that the log has not reached or does not keep any more, the first message is `event: reset` with the',
      'reason, and the stream goes on from the position that it tells: what the client has derived from before is to be read anew.',
      'A client that takes nothing for too long is cut off, and resumes. Browsers, which send no key, use a ticket.',
    ].join(' '),
    tag: 'Events',
    permission: { action: 'read', subject: 'event' },
    query: QuerySchema,
    responses: { 200: z.union([EventSchema, ResetSchema]) },
    problems: ['not_found'],
    async open({ principal, query }, resume_after): Promise<BeginFeed> {
      const filter = await readFilter(query, principal);
      const bounds = await tails.findBounds(principal.tenant_id);
      const { after, first } = beginning(resume_after ?? query.after ?? null, bounds);
      return (sink) => {
        const tail = tails.open(principal.tenant_id, bounds);
        const feed = new EventFeed({ tail, pages, filter, after, head_position: bounds.head_position, sink });
        if (sink.write(first)) feed.advance();
        else feed.block();
        return feed;
      };
    },
  });

  /** Errors: `invalid_request`, `not_found`. */
  async function readFilter(query: Query, principal: Input['principal']): Promise<Filter> {
    const { types = null, account, account_prefix = null, subject } = query;
    const wanted = kindsOf(types, kinds());
    if (account !== undefined || account_prefix !== null) checkTouching(wanted, touchesAccounts);
    const found =
      account === undefined
        ? null
        : await database.read(principal, (tx) => findAccount(tx, account, accountPositions));
    return {
      types: types === null ? null : new Set(types),
      subject_id: subject === undefined ? null : subjectId(subject, wanted),
      accounts: found === null ? null : new Set([encodeId('account', found)]),
      account_prefix,
    };
  }
}

/** The account's uuid. Errors: `not_found`. */
async function findAccount(tx: Tx, account: string, accountPositions: AccountPositions): Promise<string> {
  const { account_id } = await accountPositions(tx, account, { after: endless, row_limit: 1 });
  return account_id;
}

/** The uuid of what the stream is to be about. Errors: `invalid_request` when no event of the types is about such a thing. */
function subjectId(subject: string, wanted: EventKind[]): string {
  for (const { subject: kind } of wanted) {
    const uuid = maybeDecodeId(kind, subject);
    if (uuid !== null) return uuid;
  }
  const prefixes = [...new Set(wanted.map((kind) => encodeId(kind.subject, nil).split('_')[0]))].sort();
  const detail = `these events are about things with ids of the form ${prefixes.map((prefix) => `${prefix}_…`).join(', ')}`;
  throw matchesNothing('subject', detail);
}

const nil = '00000000-0000-0000-0000-000000000000';

/** Where a stream begins, and its first message: it tells a client that was cut off before any event where to resume. */
function beginning(
  asked: number | null,
  { first_position, head_position }: Bounds,
): { after: number; first: Buffer } {
  const reset = (reason: z.infer<typeof ResetSchema>['reason'], requested: number, position: number) => {
    const data: z.infer<typeof ResetSchema> = { reason, requested, position };
    return { after: position, first: message(position, JSON.stringify(data), 'reset') };
  };
  if (asked === null) return { after: head_position, first: idMessage(head_position) };
  if (asked > head_position) return reset('ahead_of_log', asked, head_position);
  if (asked < first_position - 1) return reset('beyond_retention', asked, first_position - 1);
  return { after: asked, first: idMessage(asked) };
}
