import type { Context, Module } from '../../module.ts';
import { statementConsumer } from '../log/index.ts';
import { projections } from './manifest.ts';
import { projectionRoutes } from './projection_routes.ts';
import { rebuild_events } from './rebuild_events.ts';
import { RebuildMetrics } from './rebuild_metrics.ts';
import { rebuildRoutes } from './rebuild_routes.ts';
import { Rebuilder } from './rebuilder.ts';

export interface ProjectionsOptions {
  listTenants: (page: { after: string | null; row_limit: number }) => Promise<string[]>;
}

export function projectionsModule(context: Context, { listTenants }: ProjectionsOptions): Module {
  const { config, database, logger } = context;
  const metrics = new RebuildMetrics(context.metrics);
  const rebuilder = new Rebuilder({ database, logger, metrics, projections, listTenants });
  return {
    name: 'projections',
    routes: [...projectionRoutes(database), ...rebuildRoutes(database, { rebuilder, listTenants })],
    events: rebuild_events,
    jobs: [],
    consumers: projections.map(({ apply, name, description, rest_ms }) =>
      statementConsumer(database, apply, { name, description, rest_ms }),
    ),
    async start() {
      if (config.CONSUMERS === 'on') rebuilder.start();
    },
    async stop() {
      await rebuilder.stop();
    },
  };
}
