import type { Context, Module } from '../../module.ts';
import { type Streams, statementConsumer } from '../log/index.ts';
import { events } from './events.ts';
import { invoiceRoutes } from './invoice_routes.ts';
import { projections } from './manifest.ts';
import { projectionRoutes } from './projection_routes.ts';
import { projectionStreamRoute } from './projection_stream.ts';
import { rebuild_events } from './rebuild_events.ts';
import { RebuildMetrics } from './rebuild_metrics.ts';
import { rebuildOrderRoutes } from './rebuild_order_routes.ts';
import { RebuildOrders } from './rebuild_orders.ts';
import { rebuildRoutes } from './rebuild_routes.ts';
import { Rebuilder } from './rebuilder.ts';
import { reportRoutes } from './report_routes.ts';

export interface ProjectionsOptions {
  listTenants: (page: { after: string | null; row_limit: number }) => Promise<string[]>;
}

export function projectionsModule(
  context: Context,
  { listTenants }: ProjectionsOptions,
  streams: Streams,
): Module {
  const { config, database, logger } = context;
  const names = projections.map(({ name }) => name);
  const metrics = new RebuildMetrics(context.metrics, names);
  const rebuilder = new Rebuilder({ database, logger, metrics, projections, listTenants });
  const orders = new RebuildOrders({ database, rebuilder, listTenants });
  return {
    name: 'projections',
    routes: [
      ...invoiceRoutes(database),
      ...reportRoutes(database),
      projectionStreamRoute(database, streams),
      ...projectionRoutes(database),
      ...rebuildRoutes(database, orders),
      ...rebuildOrderRoutes(orders),
    ],
    events: [...events, ...rebuild_events],
    jobs: [],
    consumers: projections.map(({ apply, takes_along, name, description, within_ms }) =>
      statementConsumer(database, apply, { name, description, within_ms }, takes_along),
    ),
    async start() {
      if (config.CONSUMERS === 'on') rebuilder.start();
    },
    async stop() {
      await rebuilder.stop();
    },
  };
}
