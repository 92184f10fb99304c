// The queue as a part of the process, beside the modules: it runs their jobs, and shows when and what became of them.
import { z } from 'zod';
import { type Job, job } from '../job.ts';
import type { Context, Module } from '../module.ts';
import { buryDead } from './dead_letters.ts';
import { job_events } from './events.ts';
import { JobMetrics } from './metrics.ts';
import { jobRoutes } from './routes.ts';
import { openPlatformSchedules, openTenantSchedules, queueDue } from './schedules.ts';
import { Worker } from './worker.ts';

interface JobsOptions {
  /** of all modules */
  jobs: () => Job[];
  listTenants: (page: { after: string | null; row_limit: number }) => Promise<string[]>;
}

export function jobsModule(context: Context, options: JobsOptions): Module {
  const { config, database, logger, metrics } = context;
  const job_metrics = new JobMetrics(metrics, database, logger, () => options.jobs().map(({ name }) => name));
  const open_schedules = job({
    name: 'jobs.open_schedules',
    description: 'Gives each new tenant the schedules that every tenant has',
    payload: z.strictObject({}),
    schedule: { of: 'platform', cron: '*/10 * * * *', time_zone: 'UTC' },
    run: () => openTenantSchedules(database, options.jobs(), options.listTenants),
  });
  let worker: Worker | null = null;
  return {
    name: 'jobs',
    routes: jobRoutes(database, options.jobs),
    events: job_events,
    jobs: [open_schedules],
    async start() {
      if (config.JOBS === 'off') return;
      await openPlatformSchedules(database, options.jobs());
      worker = new Worker({
        database,
        connection_string: config.DATABASE_DIRECT_URL ?? database.connection_string,
        logger,
        metrics: job_metrics,
        jobs: options.jobs(),
        concurrency: config.JOBS_CONCURRENCY,
        onDue: () => queueDue(database, logger, options.jobs()),
        onDead: () => buryDead(database, logger),
      });
      worker.start();
    },
    stop: async () => worker?.stop(),
  };
}
