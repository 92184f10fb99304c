// Takes jobs from graphile-worker's queue, in this process and beside its requests. It has connections of its own, past any pooler: one
// listens for new jobs, the others fetch and finish them. What a job does, it does over the process's own pool.
//
// A worker that is killed leaves its jobs locked. So each says every second or two that it lives, and frees what the dead hold.
import { EventEmitter } from 'node:events';
import { Logger as QueueLogger, type Runner, run, type TaskList, type WorkerEvents } from 'graphile-worker';
import pg from 'pg';
import { z } from 'zod';
import { type Database, queries, systemActor } from '../db.ts';
import { type Job, QueuedSchema } from '../job.ts';
import type { Logger } from '../log.ts';
import type { JobMetrics } from './metrics.ts';

const sql = queries(import.meta.url, 'worker_beat', 'worker_leave');

/** A new job wakes us by itself; this finds those whose time comes later, and all of them when a notification is lost. */
const poll_interval_ms = 5_000;
const beat_interval_ms = 1_500;
/** After a death it takes this and one beat until its jobs go on: under ten seconds. A process that is busy for as long is taken for dead. */
const dead_after_ms = 5_000;
/** between two attempts to begin, while the database is away */
const restart_ms = 1_000;
/** A job that has not ended by then is given up, and goes on elsewhere. */
const stop_patience_ms = 20_000;

const BeatSchema = z.object({ freed: z.number(), has_due: z.boolean(), has_dead: z.boolean() });

export interface WorkerOptions {
  database: Database;
  /** past a pooler */
  connection_string: string;
  logger: Logger;
  metrics: JobMetrics;
  jobs: Job[];
  /** jobs at a time */
  concurrency: number;
  /** a schedule is due */
  onDue: () => Promise<void>;
  /** a job has used up its attempts */
  onDead: () => Promise<void>;
}

export class Worker {
  readonly #options: WorkerOptions;
  readonly #pool: pg.Pool;
  readonly #stopping = new AbortController();
  #id: string | null = null;
  #runner: Runner | null = null;
  #running: Promise<void> | null = null;
  #beating: Promise<void> | null = null;
  #tending: Promise<void> | null = null;
  #stopped: Promise<void> | null = null;

  constructor(options: WorkerOptions) {
    this.#options = options;
    const { connection_string, concurrency, logger } = options;
    this.#pool = new pg.Pool({
      connectionString: connection_string,
      // One of them listens.
      max: Math.min(concurrency, 4) + 1,
      application_name: 'lattice jobs',
      connectionTimeoutMillis: 5_000,
      idleTimeoutMillis: 60_000,
      statement_timeout: 30_000,
      lock_timeout: 10_000,
      idle_in_transaction_session_timeout: 30_000,
    });
    this.#pool.on('connect', (client) => {
      client.on('error', (error) => logger.debug({ err: error }, 'a connection of the job queue is lost'));
    });
    this.#pool.on('error', (error) => {
      if (!this.#pool.ending) logger.warn({ error: error.message }, 'idle connection of the job queue lost');
    });
  }

  /** Begins, and begins again whenever the queue's own loop ends. Does not wait for it: without jobs the process serves all the same. */
  start(): void {
    this.#running = this.#keepRunning();
    this.#beating = this.#keepBeating();
  }

  /** Takes no more jobs, lets those that run end, and says goodbye. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    const { logger } = this.#options;
    this.#stopping.abort();
    const stopping = this.#runner?.stop().catch((error: unknown) => {
      logger.warn({ err: error }, 'the job queue did not stop in order');
    });
    const ended = Promise.all([stopping, this.#running, this.#beating?.then(() => this.#tending)]).then(
      () => true,
    );
    if (!(await within(ended, stop_patience_ms))) logger.warn('jobs that do not end are left to others');
    await this.#leave();
    await this.#pool.end();
  }

  async #keepRunning(): Promise<void> {
    const { logger } = this.#options;
    while (!this.#stopping.signal.aborted) {
      try {
        const runner = await this.#begin();
        if (this.#stopping.signal.aborted) await runner.stop();
        this.#runner = this.#stopping.signal.aborted ? null : runner;
        await runner.promise;
      } catch (error) {
        logger.error({ err: error }, 'the job queue has stopped, and is started again');
      }
      await this.#leave();
      await this.#pause(restart_ms);
    }
  }

  async #begin(): Promise<Runner> {
    const { logger, jobs, concurrency } = this.#options;
    const events: WorkerEvents = new EventEmitter();
    events.on('pool:create', ({ workerPool }) => {
      this.#id = workerPool.id;
    });
    const runner = await run({
      pgPool: this.#pool,
      schema: 'graphile_worker',
      taskList: Object.fromEntries(jobs.map((kind) => [kind.name, this.#task(kind)])) satisfies TaskList,
      concurrency,
      pollInterval: poll_interval_ms,
      noHandleSignals: true,
      logger: queueLogger(logger),
      events,
    });
    return runner;
  }

  /** What the queue runs: parses what stands in it, then the handler, in the name of the system. */
  #task(kind: Job) {
    const { database, logger, metrics } = this.#options;
    const { signal } = this.#stopping;
    return async (text: unknown, { job }: { job: { id: string } }) => {
      const began = performance.now();
      try {
        const { tenant_id, payload } = QueuedSchema.parse(text);
        await kind.run(
          { database, logger, signal, actor: systemActor(tenant_id) },
          kind.payload.parse(payload),
        );
        metrics.ended(kind.name, 'done', performance.now() - began);
      } catch (error) {
        metrics.ended(kind.name, 'failed', performance.now() - began);
        const why = { err: error, job: kind.name, job_id: job.id };
        if (signal.aborted && error === signal.reason) logger.debug(why, 'a job ends early');
        else logger.warn(why, 'a job has failed');
        throw error;
      }
    };
  }

  async #keepBeating(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      await this.#beat().catch((error: unknown) => {
        this.#options.logger.warn({ err: error }, 'the jobs of dead workers are not looked after');
      });
      await this.#pause(beat_interval_ms);
    }
  }

  async #beat(): Promise<void> {
    const { database, logger } = this.#options;
    if (this.#id === null) return;
    const [beat] = await database.call(sql.worker_beat, { worker_id: this.#id, dead_after_ms }, BeatSchema);
    if (beat === undefined) return;
    if (beat.freed > 0) logger.warn({ jobs: beat.freed }, 'jobs of a dead worker go on');
    // Beside the beat: schedules of thousands of tenants take longer than the time after which a worker that does not beat is dead.
    this.#tending ??= this.#tend(beat).finally(() => {
      this.#tending = null;
    });
  }

  async #tend({ has_due, has_dead }: z.infer<typeof BeatSchema>): Promise<void> {
    const { logger, onDue, onDead } = this.#options;
    if (has_due) {
      await onDue().catch((error: unknown) =>
        logger.warn({ err: error }, 'what is due is not put into the queue'),
      );
    }
    if (has_dead) {
      await onDead().catch((error: unknown) =>
        logger.warn({ err: error }, 'jobs that gave up are not looked after'),
      );
    }
  }

  async #leave(): Promise<void> {
    const worker_id = this.#id;
    this.#id = null;
    if (worker_id === null) return;
    // Whoever cannot say goodbye is found dead.
    await this.#options.database
      .call(sql.worker_leave, { worker_id }, z.unknown())
      .catch((error: unknown) => this.#options.logger.debug({ err: error }, 'a worker left without a word'));
  }

  #pause(ms: number): Promise<void> {
    const { signal } = this.#stopping;
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', end);
        resolve();
      };
      const timer = setTimeout(end, ms);
      signal.addEventListener('abort', end);
    });
  }
}

/** What a promise answers, or null when that takes longer. */
async function within<Value>(promise: Promise<Value>, ms: number): Promise<Value | null> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), ms);
  });
  const answer = await Promise.race([promise, late]);
  clearTimeout(timer);
  return answer;
}

/** What the queue says of itself; a failed job has been told of already. */
function queueLogger(logger: Logger): QueueLogger {
  return new QueueLogger(() => (level, message, meta) => {
    if (meta.failure === true || level === 'info' || level === 'debug') logger.debug({ queue: message });
    else if (level === 'warning') logger.warn({ queue: message });
    else logger.error({ queue: message });
  });
}
