// Jobs that have used up their attempts. They leave the queue for a list, where they stay: waiting for somebody, then retried or dismissed.
import { z } from 'zod';
import { type Database, platform_tenant_id, queries, systemActor, type Tx } from '../db.ts';
import { Problem } from '../errors.ts';
import { encodeId, newUuid } from '../id.ts';
import { addJob, type Job, QueuedSchema } from '../job.ts';
import type { Logger } from '../log.ts';
import { appendEvent } from '../modules/log/index.ts';
import type { PageRequest } from '../page.ts';
import type { DeadLetter } from './schema.ts';

const sql = queries(
  import.meta.url,
  'dead_job_list',
  'dead_job_take',
  'dead_letter_insert',
  'dead_letter_list',
  'dead_letter_find',
  'dead_letter_settle',
);

const dead_per_turn = 100;

const RowSchema = z.object({
  id: z.string(),
  tenant_id: z.string(),
  job: z.string(),
  /** JSON text */
  payload: z.string(),
  job_key: z.string().nullable(),
  attempts: z.number(),
  reason: z.string(),
  queued_at: z.string(),
  failed_at: z.string(),
  status: z.enum(['waiting', 'retried', 'dismissed']),
  settled_at: z.string().nullable(),
  settled_by: z.string().nullable(),
});
export type DeadLetterRow = z.infer<typeof RowSchema>;

export type Settlement = 'retried' | 'dismissed';

export function renderDeadLetter(row: DeadLetterRow): DeadLetter {
  const { job_key: _, id, tenant_id, payload, settled_by, ...rest } = row;
  return {
    ...rest,
    id: encodeId('dead_letter', id),
    tenant_id: encodeId('tenant', tenant_id),
    payload: JSON.parse(payload),
    settled_by: settled_by === null ? null : encodeId('key', settled_by),
  };
}

const DeadSchema = z.object({ job_id: z.string(), job: z.string(), payload: z.string() });
type Dead = z.infer<typeof DeadSchema>;

/** Takes the jobs that gave up out of the queue. One that cannot be taken stays where it is, and the others go. */
export async function buryDead(database: Database, logger: Logger): Promise<void> {
  for (let after_id: string | null = null; ; ) {
    const dead: Dead[] = await database.call(
      sql.dead_job_list,
      { row_limit: dead_per_turn, after_id },
      DeadSchema,
    );
    for (const each of dead) {
      await buryOne(database, logger, each).catch((error: unknown) => {
        logger.error(
          { err: error, job: each.job, job_id: each.job_id },
          'a job that gave up stays in the queue',
        );
      });
    }
    after_id = dead.at(-1)?.job_id ?? null;
    if (after_id === null || dead.length < dead_per_turn) return;
  }
}

/** With its event in the log of its tenant, in one transaction. */
async function buryOne(database: Database, logger: Logger, { job_id, job, payload }: Dead): Promise<void> {
  const queued = QueuedSchema.safeParse(JSON.parse(payload));
  // Something that we did not put there is the platform's business.
  const actor = systemActor(queued.success ? queued.data.tenant_id : platform_tenant_id);
  const own = queued.success ? JSON.stringify(queued.data.payload) : payload;
  const id = await database.transaction(actor, (tx) => bury(tx, { job_id, job, payload: own }));
  if (id !== null) logger.error({ job, tenant_id: actor.tenant_id, dead_letter: id }, 'a job has given up');
}

/** Null when another process was first. */
async function bury(
  tx: Tx,
  { job_id, job, payload }: { job_id: string; job: string; payload: string },
): Promise<string | null> {
  const taken = await tx.maybe(
    sql.dead_job_take,
    { job_id },
    z.object({
      job_key: z.string().nullable(),
      attempts: z.number(),
      reason: z.string(),
      queued_at: z.string(),
      failed_at: z.string(),
    }),
  );
  if (taken === null) return null;
  const { job_key, attempts, reason, queued_at, failed_at } = taken;
  const { tenant_id } = tx.actor;
  const row = await tx.one(
    sql.dead_letter_insert,
    { tenant_id, id: newUuid(), job, payload, job_key, attempts, reason, queued_at, failed_at },
    RowSchema,
  );
  await appendEvent(tx, { type: 'jobs.job_failed', subject_id: row.id, data: renderDeadLetter(row) });
  return encodeId('dead_letter', row.id);
}

/** The newest first: of the transaction's tenant, or of all when that is the platform's. */
export async function listDeadLetters(
  tx: Tx,
  filters: { status: DeadLetterRow['status'] | null; job: string | null },
  { row_limit, after }: PageRequest<string>,
): Promise<DeadLetterRow[]> {
  return tx.many(
    sql.dead_letter_list,
    { row_limit, after, status: filters.status, job: filters.job },
    RowSchema,
  );
}

/** Errors: `not_found`. */
export async function findDeadLetter(tx: Tx, id: string): Promise<DeadLetterRow> {
  const row = await tx.maybe(sql.dead_letter_find, { id }, RowSchema);
  if (row === null) throw new Problem('not_found', 'There is no such dead letter');
  return row;
}

/** Errors: `not_found`, `dead_letter_settled`, `job_unknown`. */
export async function findWaiting(tx: Tx, jobs: Job[], id: string, how: Settlement): Promise<DeadLetterRow> {
  const row = await findDeadLetter(tx, id);
  if (row.status !== 'waiting') {
    throw new Problem('dead_letter_settled', `The dead letter was ${row.status} at ${row.settled_at}`);
  }
  if (how === 'retried') findKind(jobs, row.job);
  return row;
}

/**
 * Retries or dismisses a dead letter of the transaction's tenant, with its event; a job that is retried is in the queue when this commits.
 * False when it was settled before, and then nothing is done.
 */
export async function settle(tx: Tx, jobs: Job[], id: string, how: Settlement): Promise<boolean> {
  const row = await tx.maybe(
    sql.dead_letter_settle,
    { id, status: how, settled_by: tx.actor.actor_id },
    RowSchema,
  );
  if (row === null) return false;
  if (how === 'retried') await requeue(tx, findKind(jobs, row.job), row);
  await appendEvent(tx, {
    type: `jobs.dead_letter_${how}`,
    subject_id: row.id,
    data: renderDeadLetter(row),
  });
  return true;
}

async function requeue(tx: Tx, kind: Job, { tenant_id, payload, job_key }: DeadLetterRow): Promise<void> {
  const prefix = `${kind.name}:${tenant_id}:`;
  const key = job_key?.startsWith(prefix) === true ? job_key.slice(prefix.length) : null;
  // One that waits under the same key meanwhile does the same.
  await addJob(tx, kind, JSON.parse(payload), key === null ? {} : { key, if_queued: 'keep' });
}

function findKind(jobs: Job[], name: string): Job {
  const kind = jobs.find((each) => each.name === name);
  if (kind === undefined) throw new Problem('job_unknown', `This version of Lattice has no job ${name}`);
  return kind;
}
