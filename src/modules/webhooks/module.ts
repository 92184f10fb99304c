import type { EventKind } from '../../event.ts';
import type { Context, Module } from '../../module.ts';
import { subjectKinds } from '../log/index.ts';
import type { Caller } from './calls.ts';
import { delivery_routes } from './delivery_routes.ts';
import { Dispatcher, type DispatcherOptions } from './dispatcher.ts';
import { endpointRoutes } from './endpoint_routes.ts';
import { events } from './events.ts';
import { webhooksConsumer } from './queue.ts';
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
  return {
    name: 'webhooks',
    routes: [
      ...endpointRoutes({ vault, caller, kinds, onEnabled: (tenant_id) => dispatcher.serve(tenant_id) }),
      ...delivery_routes,
    ],
    events,
    jobs: [],
    consumers: [webhooksConsumer(database, dispatcher)],
    async start() {
      dispatcher.start();
    },
    async stop() {
      await dispatcher.stop();
      await caller.close();
    },
  };
}
