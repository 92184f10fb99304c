import type { Context, Module } from '../../module.ts';
import { consumer_events } from './consumer_events.ts';
import { ConsumerLag } from './consumer_lag.ts';
import { ConsumerMetrics } from './consumer_metrics.ts';
import { consumerRoutes } from './consumer_routes.ts';
import { usual_retries } from './consumers.ts';
import { eventStreamRoute } from './event_stream.ts';
import { make_partitions, showPartitionsAhead } from './partitions.ts';
import { createRoutes } from './routes.ts';
import { ConsumerRunner } from './runner.ts';
import type { LogOptions, Streams } from './streams.ts';

export function logModule(context: Context, options: LogOptions, streams: Streams): Module {
  const { config, database, logger, metrics } = context;
  const { consumers, listTenants } = options;
  showPartitionsAhead(database, logger, metrics);
  const lag = new ConsumerLag({
    database,
    logger,
    metrics,
    wakes: streams.wakes,
    consumers,
    listTenants,
  });
  let runner: ConsumerRunner | null = null;
  return {
    name: 'log',
    routes: [
      ...createRoutes(options),
      eventStreamRoute(database, streams, options),
      ...consumerRoutes(database, consumers),
    ],
    events: consumer_events,
    jobs: [make_partitions],
    async start() {
      streams.start();
      lag.start();
      const names = consumers().map(({ name }) => name);
      const consumer_metrics = new ConsumerMetrics(metrics, names);
      if (config.CONSUMERS === 'off') return;
      runner = new ConsumerRunner({
        database,
        logger,
        wakes: streams.wakes,
        metrics: consumer_metrics,
        consumers: consumers(),
        listTenants,
        retries: usual_retries,
      });
      await runner.start();
    },
    async stop() {
      lag.stop();
      await runner?.stop();
      await streams.stop();
    },
  };
}
