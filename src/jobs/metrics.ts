// What the queue holds and what becomes of jobs, by job and never by tenant. The queue's own numbers are read when somebody asks.
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { z } from 'zod';
import { type Database, queries } from '../db.ts';
import type { Logger } from '../log.ts';

const sql = queries(import.meta.url, 'queue_state');

const StateSchema = z.object({
  job: z.string(),
  waiting: z.number(),
  due: z.number(),
  running: z.number(),
  oldest_due_seconds: z.number(),
  dead_letters: z.number(),
});
type State = z.infer<typeof StateSchema>;

const help = {
  waiting: 'Jobs in the queue that nobody runs yet, due or not',
  due: 'Of those, the ones whose time has come',
  running: 'Jobs that some process runs',
  oldest_due_seconds: 'For how long the oldest job that is due has been so; above 60 is an alarm',
  dead_letters: 'Jobs that used up their attempts and wait for somebody; above 0 is an alarm',
} as const;

export class JobMetrics {
  readonly #ended: Counter<'job' | 'outcome'>;
  readonly #seconds: Histogram<'job'>;

  constructor(registry: Registry, database: Database, logger: Logger, jobs: () => string[]) {
    const registers = [registry];
    this.#ended = new Counter({
      name: 'lattice_jobs_total',
      help: 'Attempts of jobs that this process made, by what became of them',
      labelNames: ['job', 'outcome'],
      registers,
    });
    this.#seconds = new Histogram({
      name: 'lattice_job_seconds',
      help: 'Duration of one attempt',
      labelNames: ['job'],
      buckets: [0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 1_800],
      registers,
    });
    let reading: Promise<State[]> | null = null;
    // All gauges of one scrape share one look.
    const state = () => {
      reading ??= database.call(sql.queue_state, {}, StateSchema).finally(() => {
        reading = null;
      });
      return reading;
    };
    const gauge = (field: keyof typeof help) => {
      new Gauge({
        name: `lattice_jobs_${field}`,
        help: help[field],
        labelNames: ['job'],
        registers,
        async collect() {
          const found = await state().catch((error: unknown) => {
            logger.debug({ err: error }, 'the job queue could not be counted');
            return null;
          });
          if (found === null) return;
          this.reset();
          for (const job of jobs()) this.set({ job }, 0);
          for (const each of found) this.set({ job: each.job }, each[field]);
        },
      });
    };
    gauge('waiting');
    gauge('due');
    gauge('running');
    gauge('oldest_due_seconds');
    gauge('dead_letters');
  }

  ended(job: string, outcome: 'done' | 'failed', took_ms: number): void {
    this.#ended.inc({ job, outcome });
    this.#seconds.observe({ job }, took_ms / 1_000);
  }
}
