// The delivery log, and deliveries that somebody asks for again.
import { z } from 'zod';
import { queries, type Tx } from '../../db.ts';
import { Problem } from '../../errors.ts';
import { encodeId, newUuid } from '../../id.ts';
import type { PageRequest } from '../../page.ts';
import { checkReached } from '../../position.ts';
import { appendEvent, headPosition } from '../log/index.ts';
import { lockEndpoint } from './endpoints.ts';
import { WebhookAttemptSchema, WebhookDeliverySchema } from './schema.ts';

const sql = queries(
  import.meta.url,
  'webhook_delivery_find',
  'webhook_delivery_list',
  'webhook_attempt_list',
  'webhook_delivery_repeat',
  'webhook_range_replay',
);

/** positions of one replay: what one transaction does in about a second */
export const max_replay_positions = 50_000;

const RowSchema = z.object({
  ...WebhookDeliverySchema.omit({ last_attempt: true }).shape,
  id: z.uuid(),
  endpoint_id: z.uuid(),
  event_id: z.uuid(),
  number: z.int().nullable(),
  started_at: z.string().nullable(),
  duration_ms: z.int().nullable(),
  status_code: z.int().nullable(),
  fault: z.string().nullable(),
  detail: z.string().nullable(),
  answer: z.string().nullable(),
});
type Row = z.infer<typeof RowSchema>;
type Delivery = z.infer<typeof WebhookDeliverySchema>;

export function renderDelivery(row: Row): Delivery {
  const { number, started_at, duration_ms, status_code, fault, detail, answer, ...rest } = row;
  return {
    ...rest,
    id: encodeId('delivery', row.id),
    endpoint_id: encodeId('webhook', row.endpoint_id),
    event_id: encodeId('event', row.event_id),
    last_attempt:
      number === null || started_at === null || duration_ms === null
        ? null
        : { number, started_at, duration_ms, status_code, fault, detail, answer },
  };
}

/** Errors: `not_found`. */
export async function findDelivery(tx: Tx, id: string): Promise<Row> {
  const row = await tx.maybe(sql.webhook_delivery_find, { tenant_id: tx.actor.tenant_id, id }, RowSchema);
  if (row === null) throw new Problem('not_found', 'There is no such webhook delivery');
  return row;
}

/** Of one endpoint, the newest first. */
export async function listDeliveries(
  tx: Tx,
  filters: { endpoint_id: string; status: Delivery['status'] | null },
  page: PageRequest<string>,
): Promise<Row[]> {
  return tx.many(
    sql.webhook_delivery_list,
    { tenant_id: tx.actor.tenant_id, ...filters, ...page },
    RowSchema,
  );
}

export async function listAttempts(
  tx: Tx,
  delivery_id: string,
): Promise<z.infer<typeof WebhookAttemptSchema>[]> {
  return tx.many(
    sql.webhook_attempt_list,
    { tenant_id: tx.actor.tenant_id, delivery_id },
    WebhookAttemptSchema,
  );
}

/** A new delivery of the same event to the same endpoint. Errors: `not_found`, `webhook_not_enabled`. */
export async function repeatDelivery(tx: Tx, id: string): Promise<Delivery> {
  const { endpoint_id } = await findDelivery(tx, id);
  await lockEnabled(tx, endpoint_id);
  const new_id = newUuid();
  await tx.run(sql.webhook_delivery_repeat, { tenant_id: tx.actor.tenant_id, id, new_id });
  const repeated = renderDelivery(await findDelivery(tx, new_id));
  const { event_id, position } = repeated;
  await appendEvent(tx, {
    type: 'webhooks.delivery_repeated',
    subject_id: endpoint_id,
    data: { id: repeated.id, endpoint_id: repeated.endpoint_id, event_id, position },
  });
  return repeated;
}

/**
 * New deliveries of each event after a position up to another that the endpoint wants, delivered before or not.
 * Errors: `not_found`, `webhook_not_enabled`, `replay_too_long`, `invalid_request` for a position that the log has not reached.
 */
export async function replayRange(tx: Tx, endpoint_id: string, range: { after: number; up_to: number }) {
  await lockEnabled(tx, endpoint_id);
  if (range.up_to - range.after > max_replay_positions) {
    throw new Problem('replay_too_long', `A replay has at most ${max_replay_positions} positions`);
  }
  checkReached('#/up_to', range.up_to, await headPosition(tx));
  const { count } = await tx.one(
    sql.webhook_range_replay,
    { tenant_id: tx.actor.tenant_id, endpoint_id, after_position: range.after, up_to: range.up_to },
    z.object({ count: z.int() }),
  );
  const replay = { endpoint_id: encodeId('webhook', endpoint_id), ...range, deliveries: count };
  await appendEvent(tx, { type: 'webhooks.range_replayed', subject_id: endpoint_id, data: replay });
  return replay;
}

async function lockEnabled(tx: Tx, endpoint_id: string): Promise<void> {
  const { status } = await lockEndpoint(tx, endpoint_id);
  if (status !== 'enabled') {
    throw new Problem('webhook_not_enabled', 'The webhook endpoint is not enabled: enable it first');
  }
}
