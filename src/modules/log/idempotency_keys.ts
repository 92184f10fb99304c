// What a request with a key was answered, kept for ever beside what it did.
import { z } from 'zod';
import { queries, type Tx } from '../../db.ts';
import type { Idempotency } from '../../route.ts';

const sql = queries(import.meta.url, 'idempotency_key_find', 'idempotency_key_insert');

const StoredAnswerSchema = z.object({
  request_hash: z.string(),
  status: z.number(),
  /** of the event that is the answer, when there is no body */
  position: z.number().nullable(),
  body: z.string().nullable(),
});

export type StoredAnswer = z.infer<typeof StoredAnswerSchema>;

/** What the tenant's key was answered, or null when nothing has been stored under it. */
export async function maybeStoredAnswer(tx: Tx, key_hash: string): Promise<StoredAnswer | null> {
  return tx.maybe(sql.idempotency_key_find, { tenant_id: tx.actor.tenant_id, key_hash }, StoredAnswerSchema);
}

/**
 * Stores an answer in the transaction of its effect. Waits for another transaction that is storing the same key.
 * False when that one was first: the caller's transaction must then not commit what it did.
 */
export async function storeAnswer(
  tx: Tx,
  idempotency: Idempotency,
  answer: { status: number; body: string },
): Promise<boolean> {
  const inserted = await tx.run(sql.idempotency_key_insert, {
    tenant_id: tx.actor.tenant_id,
    key_hash: idempotency.key_hash,
    request_hash: idempotency.request_hash,
    status: answer.status,
    body: answer.body,
  });
  return inserted === 1;
}
