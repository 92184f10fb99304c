// Events: what happened, one dense sequence per tenant, from which everything else is derived.
import { z } from 'zod';
import { queries, type Tx } from '../../db.ts';
import { newUuid } from '../../id.ts';

const sql = queries(import.meta.url, 'event_append');

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
  tx.appended = true;
  return appended;
}
