// Consumers of the log: how one is made, how far they have come, and what happens to one that fails.
import { z } from 'zod';
import type { Applied, Consumer } from '../../consumer.ts';
import { type Database, type Query, queries, systemActor, type Tx } from '../../db.ts';
import { Problem } from '../../errors.ts';
import { InstantSchema } from '../../instant.ts';
import { appendEvent } from './events.ts';

const sql = queries(
  import.meta.url,
  'slice_begin',
  'slice_end',
  'slice_fail',
  'consumer_list',
  'consumer_list_lagging',
  'consumer_position',
  'consumer_resume',
);

const AppliedSchema = z.object({
  state: z.enum(['slice', 'caught_up', 'busy', 'resting', 'parked']),
  position: z.number().nullable(),
  head_position: z.number().nullable(),
  retry_ms: z.number().nullable(),
  along: z.array(z.string()).nullable().default(null),
});

interface Described {
  name: string;
  description: string;
  max_slice_positions?: number;
  within_ms?: number;
}

/**
 * A consumer that is one statement: a SQL function of tenant, consumer and limit that begins with log.begin_slice, ends with log.end_slice, and
 * answers state, position, head_position and retry_ms. `query` has the parameters `$tenant_id`, `$consumer` and `$limit`. With `takes_along` there is
 * another one for it and those named, which also answers `along`.
 */
export function statementConsumer(
  database: Database,
  query: Query,
  described: Described,
  takes_along: { names: string[]; apply: Query } = { names: [], apply: query },
): Consumer {
  return {
    ...described,
    takes_along: takes_along.names,
    async apply({ tenant_id, limit, alone }) {
      const values = { tenant_id, consumer: described.name, limit };
      const statement = alone ? query : takes_along.apply;
      const [applied] = await database.call(statement, values, AppliedSchema);
      if (applied === undefined) throw new Error(`${statement.name} answers nothing`);
      return { ...applied, along: applied.along ?? [] };
    },
  };
}

/** What a handler has to apply: the positions after `after` up to `up_to`. */
export interface Slice {
  after: number;
  up_to: number;
  /** when the events at these positions were recorded, as Postgres writes it: to be given back to it, so that only their partitions are opened */
  after_at: string;
  up_to_at: string;
}

const BegunSchema = z.object({
  state: AppliedSchema.shape.state,
  after_position: z.number().nullable(),
  after_at: z.string().nullable(),
  up_to_position: z.number().nullable(),
  up_to_at: z.string().nullable(),
  head_position: z.number().nullable(),
  retry_ms: z.number().nullable(),
});

/**
 * A consumer whose handler works in a transaction of the tenant, as the system's actor. Its position moves in the same transaction,
 * so what the handler writes happens once. The handler does not wait for anything but the database.
 */
export function transactionConsumer(
  database: Database,
  described: Described,
  handle: (tx: Tx, slice: Slice) => Promise<void>,
): Consumer {
  const { name } = described;
  return {
    ...described,
    apply: ({ tenant_id, limit }) =>
      database.transaction(systemActor(tenant_id), async (tx): Promise<Applied> => {
        const begun = await tx.one(sql.slice_begin, { tenant_id, consumer: name, limit }, BegunSchema);
        const { state, after_position, after_at, up_to_position, up_to_at, head_position, retry_ms } = begun;
        const applied = { state, position: up_to_position, head_position, retry_ms };
        if (state !== 'slice') return applied;
        if (after_position === null || after_at === null || up_to_position === null || up_to_at === null) {
          throw new Error('a slice without ends');
        }
        await handle(tx, { after: after_position, up_to: up_to_position, after_at, up_to_at });
        await tx.run(sql.slice_end, {
          tenant_id,
          consumer: name,
          position: up_to_position,
          recorded_at: up_to_at,
        });
        return applied;
      }),
  };
}

export interface Retries {
  /** failures at one position until the consumer is parked */
  max_attempts: number;
  first_retry_ms: number;
  max_retry_ms: number;
}

export const usual_retries: Retries = { max_attempts: 8, first_retry_ms: 200, max_retry_ms: 30_000 };

const FailedSchema = z.object({
  position: z.number().nullable(),
  attempts: z.number().nullable(),
  retry_ms: z.number().nullable(),
  parked_at: z.string().nullable(),
  is_new: z.boolean().nullable(),
});

/** characters of a reason that are kept */
const reason_length = 500;

/**
 * Records a failure at the position after `position` (null: wherever it stands), and answers how long the consumer rests. The failure that
 * parks it is an event in the tenant's log.
 */
export async function failConsumer(
  database: Database,
  failure: { tenant_id: string; consumer: string; position: number | null; reason: string },
  retries: Retries,
): Promise<{ attempts: number; retry_ms: number; is_parked: boolean }> {
  const { tenant_id, consumer, position } = failure;
  const reason = failure.reason.slice(0, reason_length);
  return database.transaction(systemActor(tenant_id), async (tx) => {
    const failed = await tx.one(
      sql.slice_fail,
      { tenant_id, consumer, failed_at: position, reason, ...retries, jitter: String(Math.random()) },
      FailedSchema,
    );
    if (failed.is_new === true) {
      await appendEvent(tx, {
        type: 'log.consumer_parked',
        subject_id: tenant_id,
        data: { consumer, position: (failed.position ?? 0) + 1, attempts: failed.attempts, reason },
      });
    }
    return {
      attempts: failed.attempts ?? 0,
      retry_ms: failed.retry_ms ?? 0,
      is_parked: failed.parked_at !== null,
    };
  });
}

/** A consumer as its tenant and the platform see it. */
export const ConsumerSchema = z
  .object({
    name: z.string().meta({ example: 'balances' }),
    description: z.string(),
    status: z.enum(['following', 'retrying', 'parked']).meta({
      description:
        '`retrying` after a failure, `parked` after too many at one position: then it waits to be resumed',
    }),
    position: z.int().meta({ description: 'Everything up to here has been applied' }),
    head_position: z.int().meta({ description: "The last position of the tenant's log" }),
    lag_events: z.int(),
    lag_seconds: z.number().meta({ description: 'Age of the first event that has not been applied' }),
    moved_at: InstantSchema.nullable(),
    attempts: z.int().meta({ description: 'Failures at the next position' }),
    next_attempt_at: InstantSchema.nullable(),
    parked_at: InstantSchema.nullable(),
    reason: z.string().nullable().meta({ description: 'Why it failed last' }),
  })
  .meta({ id: 'Consumer', description: 'A follower of the log, and how far it has come' });

type ConsumerState = z.infer<typeof ConsumerSchema>;

const RowSchema = z.object({
  name: z.string().nullable(),
  position: z.number(),
  head_position: z.number(),
  behind_since: z.string().nullable(),
  moved_at: z.string().nullable(),
  attempts: z.number(),
  next_attempt_at: z.string().nullable(),
  parked_at: z.string().nullable(),
  reason: z.string().nullable(),
  read_at: z.string(),
});

/** How far each of these consumers has come in a tenant's log. One round trip. */
export async function listConsumers(
  database: Database,
  tenant_id: string,
  consumers: Consumer[],
): Promise<ConsumerState[]> {
  const rows = await database.call(sql.consumer_list, { tenant_id }, RowSchema);
  const never_ran = rows.find(({ name }) => name === null);
  if (never_ran === undefined) throw new Error('there is a row for what never ran');
  return consumers.map(({ name, description }) => {
    const row = rows.find((each) => each.name === name);
    return renderConsumer({ name, description }, row ?? never_ran);
  });
}

function renderConsumer(
  described: { name: string; description: string },
  row: z.infer<typeof RowSchema>,
): ConsumerState {
  const { position, attempts } = row;
  const behind_ms =
    row.behind_since === null ? 0 : Math.max(0, Date.parse(row.read_at) - Date.parse(row.behind_since));
  return {
    ...described,
    status: row.parked_at !== null ? 'parked' : attempts > 0 ? 'retrying' : 'following',
    position,
    head_position: row.head_position,
    lag_events: Math.max(0, row.head_position - position),
    lag_seconds: behind_ms / 1_000,
    moved_at: row.moved_at,
    attempts,
    next_attempt_at: row.next_attempt_at,
    parked_at: row.parked_at,
    reason: row.reason,
  };
}

/** How far a consumer has come, as far as it has committed: one that is at work in the log of the transaction's tenant is not waited for. */
export async function consumerPosition(tx: Tx, consumer: string): Promise<number> {
  const values = { tenant_id: tx.actor.tenant_id, consumer };
  const { position } = await tx.one(sql.consumer_position, values, z.object({ position: z.number() }));
  return position;
}

/**
 * Lets a parked consumer of the transaction's tenant try again where it stands. Nothing is skipped.
 * Errors: `not_found`, `consumer_not_parked`.
 */
export async function resumeConsumer(tx: Tx, name: string, consumers: Consumer[]): Promise<void> {
  if (!consumers.some((consumer) => consumer.name === name)) {
    throw new Problem('not_found', 'There is no such consumer', {
      errors: [{ pointer: '#/consumer', code: 'not_found', detail: 'there is no such consumer' }],
    });
  }
  if (!(await maybeResumeConsumer(tx, name, null)))
    throw new Problem('consumer_not_parked', 'The consumer is not parked');
}

/** The same for one that was parked at an instant (null: whenever); answers whether it was parked, and changes nothing when it was not. */
export async function maybeResumeConsumer(tx: Tx, name: string, parked_at: string | null): Promise<boolean> {
  const { tenant_id } = tx.actor;
  const resumed = await tx.run(sql.consumer_resume, { tenant_id, consumer: name, parked_at });
  if (resumed === 0) return false;
  await appendEvent(tx, { type: 'log.consumer_resumed', subject_id: tenant_id, data: { consumer: name } });
  return true;
}

const LaggingSchema = z.object({
  tenant_id: z.string(),
  name: z.string(),
  position: z.number(),
  head_position: z.number(),
  is_parked: z.boolean(),
});
export type Lagging = z.infer<typeof LaggingSchema>;

/** Which of these consumers have something to do for which of these tenants, or are parked. One round trip. */
export async function listLagging(
  database: Database,
  tenant_ids: string[],
  consumers: string[],
): Promise<Lagging[]> {
  return database.call(sql.consumer_list_lagging, { tenant_ids, consumers }, LaggingSchema);
}
