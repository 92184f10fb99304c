// Endpoints: created, changed, disabled, enabled. What happens to one is an event in the tenant's log.
import { z } from 'zod';
import { queries, type Tx } from '../../db.ts';
import { Problem } from '../../errors.ts';
import { encodeId } from '../../id.ts';
import type { PageRequest } from '../../page.ts';
import { appendEvent, consumerPosition } from '../log/index.ts';
import { type WebhookEndpoint, WebhookEndpointSchema } from './schema.ts';
import { addSecret, expireSecrets, listSigning, type Signing } from './secrets.ts';
import type { Vault } from './vault.ts';

const sql = queries(
  import.meta.url,
  'webhook_endpoint_insert',
  'webhook_endpoint_begin',
  'webhook_endpoint_find',
  'webhook_endpoint_lock',
  'webhook_endpoint_list',
  'webhook_endpoint_count',
  'webhook_endpoint_list_called',
  'webhook_endpoint_update',
  'webhook_endpoint_disable',
  'webhook_endpoint_enable',
  'webhook_endpoint_enabled_at',
);

/** of the consumer that queues deliveries */
export const consumer_name = 'webhooks';

/** of one tenant, enabled: each of its events is matched with each of them */
const max_endpoints = 1_000;

const RowSchema = WebhookEndpointSchema.omit({ signing: true }).extend({ id: z.uuid() });
type Row = z.infer<typeof RowSchema>;

/** What its owner says of an endpoint. */
export type Described = Pick<WebhookEndpoint, 'url' | 'description' | 'types' | 'ordering' | 'format'>;

function render(row: Row, signing: Signing[]): WebhookEndpoint {
  const { id, failing_since, created_at, updated_at, ...rest } = row;
  const own = signing
    .filter(({ endpoint_id }) => endpoint_id === id)
    .map(({ endpoint_id: _id, ...each }) => each);
  return { id: encodeId('webhook', id), ...rest, failing_since, signing: own, created_at, updated_at };
}

/** Gets the events after its own creation. Errors: `webhooks_not_configured`, `webhook_endpoints_exhausted`. */
export async function createEndpoint(
  tx: Tx,
  vault: Vault,
  id: string,
  described: Described,
  algorithm: 'hmac' | 'ed25519',
): Promise<{ endpoint: WebhookEndpoint; secret: string | null }> {
  const { tenant_id } = tx.actor;
  await tx.run(sql.webhook_endpoint_insert, { tenant_id, id, ...described });
  const secret = await addSecret(tx, vault, id, algorithm);
  const endpoint = await findEndpoint(tx, id);
  const position = await tell(tx, 'webhooks.endpoint_created', id, endpoint);
  await checkCount(tx);
  await tx.run(sql.webhook_endpoint_begin, { tenant_id, id, position });
  return { endpoint, secret };
}

/** Errors: `not_found`. */
export async function findEndpoint(tx: Tx, id: string): Promise<WebhookEndpoint> {
  const row = await tx.maybe(sql.webhook_endpoint_find, { tenant_id: tx.actor.tenant_id, id }, RowSchema);
  if (row === null) throw new Problem('not_found', 'There is no such webhook endpoint');
  return render(row, await listSigning(tx, [id]));
}

/** The same, and nobody changes it until the transaction ends. */
export async function lockEndpoint(tx: Tx, id: string): Promise<WebhookEndpoint> {
  await tx.run(sql.webhook_endpoint_lock, { tenant_id: tx.actor.tenant_id, id });
  return findEndpoint(tx, id);
}

/** In the order of their creation. */
export async function listEndpoints(
  tx: Tx,
  filters: { status: WebhookEndpoint['status'] | null },
  page: PageRequest<string>,
): Promise<{ id: string; endpoint: WebhookEndpoint }[]> {
  const values = { tenant_id: tx.actor.tenant_id, ...filters, ...page };
  const rows = await tx.many(sql.webhook_endpoint_list, values, RowSchema);
  const signing = await listSigning(
    tx,
    rows.map(({ id }) => id),
  );
  return rows.map((row) => ({ id: row.id, endpoint: render(row, signing) }));
}

const CalledSchema = z.object({
  id: z.uuid(),
  url: z.string(),
  ordering: WebhookEndpointSchema.shape.ordering,
  format: WebhookEndpointSchema.shape.format,
});
export type CalledEndpoint = z.infer<typeof CalledSchema>;

/** What a caller has to know of those of these that are enabled. */
export async function listCalledEndpoints(tx: Tx, ids: string[]): Promise<CalledEndpoint[]> {
  return tx.many(sql.webhook_endpoint_list_called, { tenant_id: tx.actor.tenant_id, ids }, CalledSchema);
}

/** Holds for what is queued and called about from then on. */
export async function updateEndpoint(tx: Tx, id: string, described: Described): Promise<WebhookEndpoint> {
  const { url, description, types, ordering, format } = described;
  const values = { tenant_id: tx.actor.tenant_id, id, url, description, types, ordering, format };
  await tx.run(sql.webhook_endpoint_update, values);
  const endpoint = await findEndpoint(tx, id);
  await tell(tx, 'webhooks.endpoint_updated', id, endpoint);
  return endpoint;
}

/** The old secrets go on signing for the overlap. Errors: `webhooks_not_configured`. */
export async function rotateSecret(
  tx: Tx,
  vault: Vault,
  id: string,
  rotation: { overlap_seconds: number; algorithm: 'hmac' | 'ed25519' },
): Promise<{ endpoint: WebhookEndpoint; secret: string | null }> {
  await expireSecrets(tx, id, rotation.overlap_seconds);
  const secret = await addSecret(tx, vault, id, rotation.algorithm);
  const endpoint = await findEndpoint(tx, id);
  await tell(tx, 'webhooks.secret_rotated', id, endpoint);
  return { endpoint, secret };
}

/**
 * What is pending waits, and what the consumer has not come to is not queued any more: `disabled_position` is what it has come to, not the
 * head of the log. A slice that is under way may still queue for the endpoint, which costs a second call after a replay, never an event.
 * Errors: `not_found`, `webhook_not_enabled`.
 */
export async function disableEndpoint(
  tx: Tx,
  id: string,
  reason: NonNullable<WebhookEndpoint['disabled_reason']>,
): Promise<WebhookEndpoint> {
  const { tenant_id } = tx.actor;
  const { status } = await lockEndpoint(tx, id);
  if (status !== 'enabled') throw new Problem('webhook_not_enabled', 'The webhook endpoint is not enabled');
  const queued_position = await consumerPosition(tx, consumer_name);
  await tx.run(sql.webhook_endpoint_disable, { tenant_id, id, reason, queued_position });
  const endpoint = await findEndpoint(tx, id);
  await tell(tx, 'webhooks.endpoint_disabled', id, endpoint);
  return endpoint;
}

/**
 * What is pending goes on, and what happens from then on is queued.
 * Errors: `not_found`, `webhook_not_disabled`, `webhook_endpoints_exhausted`.
 */
export async function enableEndpoint(tx: Tx, id: string): Promise<WebhookEndpoint> {
  const { tenant_id } = tx.actor;
  const { status } = await lockEndpoint(tx, id);
  if (status !== 'disabled')
    throw new Problem('webhook_not_disabled', 'The webhook endpoint is not disabled');
  await tx.run(sql.webhook_endpoint_enable, { tenant_id, id });
  const position = await tell(tx, 'webhooks.endpoint_enabled', id, await findEndpoint(tx, id));
  await checkCount(tx);
  await tx.run(sql.webhook_endpoint_enabled_at, { tenant_id, id, position });
  return findEndpoint(tx, id);
}

/** Under the tenant's lock, which the event has taken: two that come at once see each other. Errors: `webhook_endpoints_exhausted`. */
async function checkCount(tx: Tx): Promise<void> {
  const values = { tenant_id: tx.actor.tenant_id };
  const { count } = await tx.one(sql.webhook_endpoint_count, values, z.object({ count: z.int() }));
  if (count <= max_endpoints) return;
  throw new Problem(
    'webhook_endpoints_exhausted',
    `The tenant has ${max_endpoints} enabled webhook endpoints: disable one first`,
  );
}

async function tell(tx: Tx, type: string, id: string, endpoint: WebhookEndpoint): Promise<number> {
  const { position } = await appendEvent(tx, { type, subject_id: id, data: endpoint });
  return position;
}
