import type { Consumer } from '../../consumer.ts';
import type { Context, Module } from '../../module.ts';
import { tenantConsumerRoutes } from './consumer_routes.ts';
import { events } from './events.ts';
import { routes } from './routes.ts';

/** `consumers` is what follows the log, once it is all there. */
export function tenantsModule({ database }: Context, consumers: () => Consumer[]): Module {
  return {
    name: 'tenants',
    routes: [...routes, ...tenantConsumerRoutes(database, consumers)],
    events,
    jobs: [],
  };
}
