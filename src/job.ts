// Work that is done later, by whichever process has time: a name, the schema of its payload (ids only, never personal data) and a handler.
// The queue is graphile-worker's; src/jobs takes from it. A job may run more than once, so a repetition must change nothing.
import { z } from 'zod';
import { type Actor, type Database, queries, type Tx } from './db.ts';
import type { Logger } from './log.ts';

const sql = queries(import.meta.url, 'job_add');

/** What a handler is given, beside its payload. */
export interface JobContext {
  database: Database;
  logger: Logger;
  /** aborted when the process begins to stop: a job that takes long then ends at a safe point by throwing, and is run again elsewhere */
  signal: AbortSignal;
  /** the system, in the tenant that the job is for */
  actor: Actor;
}

export interface Job<Payload extends z.ZodType = z.ZodType> {
  /** `ledger.expire_holds` */
  name: string;
  description: string;
  payload: Payload;
  /** before it becomes a dead letter; absent means 10, which is some three hours */
  max_attempts?: number;
  /** when it is put into the queue by itself, without payload: once for the platform, or in each tenant */
  schedule?: { of: 'platform' | 'tenant'; cron: string; time_zone: string };
  run(context: JobContext, payload: z.infer<Payload>): Promise<void>;
}

/** Ties the handler's payload to its schema. */
export function job<Payload extends z.ZodType>(kind: Job<Payload>): Job {
  return kind;
}

/** How a job stands in the queue. */
export const QueuedSchema = z.strictObject({ tenant_id: z.uuid(), payload: z.unknown() });

const max_attempts_usual = 10;

export interface JobOptions {
  /** of jobs with the same name, tenant and key only one waits; absent means any number */
  key?: string;
  /** what becomes of a job that waits under the same key: the new one takes its place (absent), or nothing is added, even while it runs */
  if_queued?: 'replace' | 'keep';
  /** RFC 3339; absent means now */
  run_at?: string;
  /** whose job it is when the platform adds it; absent means the transaction's tenant's */
  of_tenant_id?: string;
}

/**
 * Puts a job for the transaction's tenant into the queue; it is there when the transaction commits. Never in a transaction that posts:
 * the queue's lock would hold up every other posting (see ARCHITECTURE.md).
 */
export async function addJob(
  tx: Tx,
  kind: Pick<Job, 'name' | 'max_attempts'>,
  payload: unknown,
  options: JobOptions = {},
): Promise<void> {
  const tenant_id = options.of_tenant_id ?? tx.actor.tenant_id;
  await tx.run(sql.job_add, {
    name: kind.name,
    payload: JSON.stringify({ tenant_id, payload }),
    max_attempts: kind.max_attempts ?? max_attempts_usual,
    // Keys are of the whole queue, so they say whose they are.
    job_key: options.key === undefined ? null : `${kind.name}:${tenant_id}:${options.key}`,
    job_key_mode: options.if_queued === 'keep' && options.key !== undefined ? 'unsafe_dedupe' : 'replace',
    run_at: options.run_at ?? null,
  });
}
