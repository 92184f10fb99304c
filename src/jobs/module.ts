// The queue as a part of the process, beside the modules: it runs their jobs and shows what became of them.
import type { Job } from '../job.ts';
import type { Context, Module } from '../module.ts';
import { JobMetrics } from './metrics.ts';
import { Worker } from './worker.ts';

export function jobsModule(context: Context, jobs: () => Job[]): Module {
  const { config, database, logger, metrics } = context;
  const job_metrics = new JobMetrics(metrics, database, logger);
  let worker: Worker | null = null;
  return {
    name: 'jobs',
    routes: [],
    events: [],
    jobs: [],
    async start() {
      if (config.JOBS === 'off' || jobs().length === 0) return;
      worker = new Worker({
        database,
        connection_string: config.DATABASE_DIRECT_URL ?? database.connection_string,
        logger,
        metrics: job_metrics,
        jobs: jobs(),
        concurrency: config.JOBS_CONCURRENCY,
        onDue: () => Promise.resolve(),
        onDead: () => Promise.resolve(),
      });
      worker.start();
    },
    stop: async () => worker?.stop(),
  };
}
