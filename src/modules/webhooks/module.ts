import type { EventKind } from '../../event.ts';
import type { Context, Module } from '../../module.ts';
import { subjectKinds } from '../log/index.ts';
import type { Caller } from './calls.ts';
import { delivery_routes } from './delivery_routes.ts';
import { Dispatcher, type DispatcherOptions } from './dispatcher.ts';
import { endpointRoutes } from './endpoint_routes.ts';
import { events } from './events.ts';
import { webhooksConsumer } from './queue.ts';
import { resealAll } from './resealing.ts';
import { retentionJob } from './retention.ts';
import { Vault } from './vault.ts';
import { WebhookMetrics } from './webhook_metrics.ts';

export interface WebhooksOptions {
  caller: Caller;
  /** what all modules say, once they are all there */
  kinds: () => EventKind[];
  listTenants: DispatcherOptions['listTenants'];
}

export function webhooksModule(context: Context, { caller, kinds, listTenants }: WebhooksOptions): Module {
  const { config, database, logger } = context;
  const vault = new Vault(config);
  const metrics = new WebhookMetrics(context.metrics);
  const dispatcher = new Dispatcher({
    database,
    logger,
    metrics,
    caller,
    vault,
    subjectOf: subjectKinds(kinds),
    listTenants,
  });
  const stopping = new AbortController();
  let resealing: Promise<void> = Promise.resolve();
  return {
    name: 'webhooks',
    routes: [
      ...endpointRoutes({ vault, caller, kinds, onEnabled: (tenant_id) => dispatcher.serve(tenant_id) }),
      ...delivery_routes,
    ],
    events,
    jobs: [retentionJob(config.WEBHOOK_RETENTION_DAYS)],
    consumers: [webhooksConsumer(database, dispatcher)],
    async start() {
      dispatcher.start();
      resealing = resealAll({ database, vault, logger }, listTenants, stopping.signal).catch(
        (error: unknown) => {
          const message = error instanceof Error ? error.message : String(error);
          logger.error({ error: { message } }, 'signing secrets could not be sealed anew');
        },
      );
    },
    async stop() {
      stopping.abort();
      await resealing;
      await dispatcher.stop();
      await caller.close();
    },
  };
}
