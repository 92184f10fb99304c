import type { Consumer } from '../../consumer.ts';
import type { EventKind } from '../../event.ts';
import type { Context, Module } from '../../module.ts';
import { consumer_events } from './consumer_events.ts';
import { ConsumerMetrics } from './consumer_metrics.ts';
import { consumerRoutes } from './consumer_routes.ts';
import type { ListTenants } from './known_tenants.ts';
import { type AccountPositions, createRoutes } from './routes.ts';
import { ConsumerRunner, usual_retries } from './runner.ts';
import { Wakes } from './wakes.ts';

export interface LogOptions {
  /** what all modules say, once they are all there */
  kinds: () => EventKind[];
  /** what follows the log, once it is all there */
  consumers: () => Consumer[];
  accountPositions: AccountPositions;
  listTenants: ListTenants;
}

export function logModule({ config, database, logger, metrics }: Context, options: LogOptions): Module {
  const { kinds, consumers, accountPositions, listTenants } = options;
  const connection_string = config.DATABASE_DIRECT_URL ?? database.connection_string;
  const wakes = new Wakes({ database, connection_string, logger, metrics });
  let runner: ConsumerRunner | null = null;
  return {
    name: 'log',
    routes: [...createRoutes(kinds, accountPositions), ...consumerRoutes(database, consumers)],
    events: consumer_events,
    jobs: [],
    async start() {
      wakes.start();
      runner = new ConsumerRunner({
        database,
        logger,
        wakes,
        metrics: new ConsumerMetrics(
          metrics,
          consumers().map(({ name }) => name),
        ),
        consumers: consumers(),
        listTenants,
        retries: usual_retries,
      });
      await runner.start();
    },
    async stop() {
      await runner?.stop();
      await wakes.stop();
    },
  };
}
