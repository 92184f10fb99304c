// Endpoints that are gone, or have failed for too long, are not called any more.
import { type Database, systemActor } from '../../db.ts';
import { Problem } from '../../errors.ts';
import { encodeId } from '../../id.ts';
import type { Logger } from '../../log.ts';
import { disableEndpoint } from './endpoints.ts';
import type { DisabledReason, WebhookMetrics } from './webhook_metrics.ts';

/** Its owner reads it in the log of the tenant, other endpoints are called about it, and so is whoever watches the process. */
export async function giveUp(
  { database, logger, metrics }: { database: Database; logger: Logger; metrics: WebhookMetrics },
  tenant_id: string,
  endpoint_id: string,
  reason: DisabledReason,
): Promise<void> {
  const actor = systemActor(tenant_id);
  try {
    await database.transaction(actor, (tx) => disableEndpoint(tx, endpoint_id, reason));
  } catch (error) {
    // Another process, or somebody, was first.
    if (error instanceof Problem && error.code === 'webhook_not_enabled') return;
    throw error;
  }
  metrics.disabled(reason);
  const endpoint = encodeId('webhook', endpoint_id);
  logger.error({ tenant_id, endpoint, reason }, 'a webhook endpoint is disabled: its owner should be told');
}
