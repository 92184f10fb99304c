// Events: what happened, one dense sequence per tenant, from which everything else is derived.
import { z } from 'zod';
import { queries, type Tx } from '../../db.ts';
import type { EventKind } from '../../event.ts';
import { encodeId, type IdKind, idSchema, newUuid } from '../../id.ts';
import { mayBeFull } from './page_size.ts';

const sql = queries(
  import.meta.url,
  'event_append',
  'event_list',
  'event_list_at',
  'event_head',
  'event_position_list',
);

/** of events that are read by their positions, before their bytes are counted */
const positions_at_once = 20;

const PositionSchema = z.object({ position: z.number() });
const AppendedSchema = z.object({ position: z.number(), recorded_at: z.string() });

/**
 * Appends an event to the log of the transaction's tenant and answers its position and instant.
 * Takes the tenant's lock until commit, so it comes late in the transaction and nothing that waits comes after it.
 */
export async function appendEvent(
  tx: Tx,
  event: {
    /** `ledger.account_created` */
    type: string;
    /** uuid */
    subject_id: string;
    data: unknown;
    /** business time, RFC 3339; absent means now */
    occurred_at?: string;
  },
) {
  const appended = await tx.one(
    sql.event_append,
    {
      tenant_id: tx.actor.tenant_id,
      id: newUuid(),
      type: event.type,
      subject_id: event.subject_id,
      data: JSON.stringify(event.data),
      actor_id: tx.actor.actor_id,
      request_id: tx.actor.request_id,
      occurred_at: event.occurred_at ?? null,
    },
    AppendedSchema,
  );
  tx.appended = appended.position;
  return appended;
}

/** An event on the wire. Which `data` a type has is in the OpenAPI document. */
export const EventSchema = z
  .object({
    id: idSchema('event'),
    position: z
      .int()
      .positive()
      .meta({ description: "Dense in the tenant's log, in commit order: 1, 2, 3 …" }),
    type: z.string().meta({ description: 'Dotted, past tense', example: 'ledger.transaction_posted' }),
    subject: z.string().meta({ description: 'The id of what the event is about' }),
    occurred_at: z.string().meta({ description: 'Business time' }),
    recorded_at: z.string().meta({ description: "The database's clock" }),
    actor_id: idSchema('key'),
    request_id: z.string(),
    data: z.unknown(),
  })
  .meta({ id: 'Event', description: "What happened, at a position of the tenant's log" });

export const EventRowSchema = z.object({
  position: z.number(),
  id: z.string(),
  type: z.string(),
  subject_id: z.string(),
  /** JSON text, kept byte for byte */
  data: z.string(),
  actor_id: z.string(),
  request_id: z.string(),
  occurred_at: z.string(),
  recorded_at: z.string(),
});

export type EventRow = z.infer<typeof EventRowSchema>;

/** An event of a type that this version does not know is passed on as it is: of its subject only the UUID can be said. */
export function renderSubject(subject: IdKind | null, subject_id: string): string {
  return subject === null ? subject_id : encodeId(subject, subject_id);
}

/** The JSON text of an event. `subject` is the kind of thing that its type speaks of. */
export function renderEvent(row: EventRow, subject: IdKind | null): string {
  const { position, type, occurred_at, recorded_at, request_id } = row;
  const head = JSON.stringify({
    id: encodeId('event', row.id),
    position,
    type,
    subject: renderSubject(subject, row.subject_id),
    occurred_at,
    recorded_at,
    actor_id: encodeId('key', row.actor_id),
    request_id,
  });
  return `${head.slice(0, -1)},"data":${row.data}}`;
}

/**
 * Events in order, at positions after `after` and up to `up_to`; `types` null means all. None comes after the one at which their data have
 * come to `max_bytes`.
 */
export async function listEvents(
  tx: Tx,
  range: { after: number; up_to: number; types: string[] | null; row_limit: number; max_bytes?: number },
): Promise<EventRow[]> {
  const values = { tenant_id: tx.actor.tenant_id, max_bytes: null, ...range };
  return tx.many(sql.event_list, values, EventRowSchema);
}

/** Events at these positions, in order, until their data have come to `max_bytes`. `position` is the last that was looked at; null when all were. */
export async function listEventsAt(
  tx: Tx,
  positions: number[],
  { types, max_bytes }: { types: string[] | null; max_bytes: number },
): Promise<{ rows: EventRow[]; position: number | null }> {
  const { tenant_id } = tx.actor;
  const rows: EventRow[] = [];
  for (let at = 0; at < positions.length; at += positions_at_once) {
    const some = positions.slice(at, at + positions_at_once);
    rows.push(...(await tx.many(sql.event_list_at, { tenant_id, positions: some, types }, EventRowSchema)));
    const is_last = at + some.length >= positions.length;
    if (!is_last && mayBeFull(rows, max_bytes)) return { rows, position: some.at(-1) ?? null };
  }
  return { rows, position: null };
}

/** The positions of events about a thing, ascending. */
export async function listSubjectPositions(
  tx: Tx,
  subject_id: string,
  { after, row_limit }: { after: number; row_limit: number },
): Promise<number[]> {
  const values = { tenant_id: tx.actor.tenant_id, subject_id, after, row_limit };
  const rows = await tx.many(sql.event_position_list, values, PositionSchema);
  return rows.map((row) => row.position);
}

/** The position of the tenant's last event; 0 when there is none. */
export async function headPosition(tx: Tx): Promise<number> {
  const head = await tx.one(
    sql.event_head,
    { tenant_id: tx.actor.tenant_id },
    z.object({ position: z.number() }),
  );
  return head.position;
}

/** What kind of thing the events of a type are about; null for a type that this version does not know. */
export type SubjectKinds = (type: string) => IdKind | null;

/** The kinds are asked for once, when they are all there. */
export function subjectKinds(kinds: () => EventKind[]): SubjectKinds {
  let by_type: Map<string, IdKind> | null = null;
  return (type) => {
    by_type ??= new Map(kinds().map((kind) => [kind.type, kind.subject]));
    return by_type.get(type) ?? null;
  };
}
