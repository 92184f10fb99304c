// Carries rebuilds forward in the background, in whatever process comes first: what goes on is a row in the database, and how far it has
// come is the position of its consumer, so a process that ends is followed by another, or by the next one.
//
// It works at full speed as long as nobody posts, and keeps out of the way when somebody does: smaller slices, with rests between them.
import { setTimeout } from 'node:timers/promises';
import { type Actor, type Database, platform_tenant_id, systemActor } from '../../db.ts';
import { Problem } from '../../errors.ts';
import type { Logger } from '../../log.ts';
import type { Projection } from './projection.ts';
import type { RebuildMetrics } from './rebuild_metrics.ts';
import {
  applyLiveSlice,
  type Comparison,
  failRebuild,
  findPositions,
  listRunningRebuilds,
  maybeApplySlice,
  maybeCompare,
  maybeSwap,
  type Rebuild,
  recordComparison,
} from './rebuilds.ts';
import { sweepVersions } from './versions.ts';

/** rebuilds at once when nobody posts: one more than two processors need, so that neither idles behind the last */
const max_at_once = 3;
/** how often rebuilds are looked for that another process has left, and how many tenants in one statement */
const look_interval_ms = 20_000;
const tenants_per_look = 100;
const tenants_per_page = 1_000;

const first_slice_positions = 5_000;
const min_slice_positions = 500;
const max_slice_positions = 400_000;
/** A slice is as large as takes about this long: … */
const slice_ms = 1_500;
/** … and this when somebody posts: so many commits to any log, those of rebuilds apart, within … */
const polite_slice_ms = 60;
const polite_commits = 20;
const polite_ms = 2_000;
/** … and then it rests for so many times as long, on behalf of all rebuilds. */
const polite_rest_factor = 6;

/** slices that fail one after the other until the rebuild does */
const max_failures = 6;
const failure_rest_ms = 500;
const busy_rest_ms = 250;
/** attempts to see both versions at the same position */
const max_comparisons = 200;

export interface RebuilderOptions {
  database: Database;
  logger: Logger;
  metrics: RebuildMetrics;
  projections: Projection[];
  listTenants: (page: { after: string | null; row_limit: number }) => Promise<string[]>;
}

interface Task extends Rebuild {
  actor: Actor;
  limit: number;
}

export class Rebuilder {
  readonly #options: RebuilderOptions;
  readonly #tasks = new Map<string, Task>();
  readonly #queue: Task[] = [];
  readonly #running = new Set<Promise<void>>();
  readonly #stopping = new AbortController();
  #looking: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | null = null;
  #stopListening: () => void = () => {};
  /** when the last of others' commits were heard of */
  #posted_ms: number[] = [];
  /** transactions of our own that append */
  #appending = 0;
  /** the rests of those who are polite follow each other */
  #turn: Promise<void> = Promise.resolve();

  constructor(options: RebuilderOptions) {
    this.#options = options;
    options.metrics.observe(() => this.#tasks.size);
  }

  start(): void {
    this.#stopListening = this.#options.database.onAppend(() => {
      if (this.#appending > 0) return;
      this.#posted_ms.push(performance.now());
      if (this.#posted_ms.length > polite_commits) this.#posted_ms.shift();
    });
    this.#timer = setInterval(() => this.#lookSoon(null), look_interval_ms);
    this.#lookSoon(null);
  }

  /** Begins no further slice, and answers when those under way are done. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#stopListening();
    if (this.#timer !== null) clearInterval(this.#timer);
    await this.#looking;
    await Promise.all(this.#running);
  }

  /** A rebuild has begun in this tenant; for one that has not started, another process looks. */
  wake(tenant_id: string): void {
    if (this.#timer !== null) this.#lookSoon([tenant_id]);
  }

  #lookSoon(tenant_ids: string[] | null): void {
    this.#looking = this.#looking.then(() => this.#look(tenant_ids));
  }

  async #look(tenant_ids: string[] | null): Promise<void> {
    try {
      if (tenant_ids === null) await this.#lookAt([platform_tenant_id]);
      for (let after: string | null = null; !this.#stopping.signal.aborted; ) {
        const page: string[] =
          tenant_ids ?? (await this.#options.listTenants({ after, row_limit: tenants_per_page }));
        for (let at = 0; at < page.length; at += tenants_per_look) {
          await this.#lookAt(page.slice(at, at + tenants_per_look));
        }
        const last = page.at(-1);
        if (tenant_ids !== null || last === undefined || page.length < tenants_per_page) return;
        after = last;
      }
    } catch (error) {
      this.#options.logger.warn({ error: messageOf(error) }, 'rebuilds could not be looked for');
    }
  }

  async #lookAt(tenant_ids: string[]): Promise<void> {
    const { database, projections } = this.#options;
    for (const found of await listRunningRebuilds(database, tenant_ids)) {
      const projection = projections.find(({ name }) => name === found.projection);
      const key = `${found.tenant_id} ${found.projection} ${found.number}`;
      if (projection === undefined || this.#tasks.has(key)) continue;
      const task = {
        actor: systemActor(found.tenant_id),
        projection,
        number: found.number,
        version: found.version,
        limit: first_slice_positions,
      };
      this.#tasks.set(key, task);
      this.#queue.push(task);
    }
    this.#runQueued();
  }

  #runQueued(): void {
    while (!this.#stopping.signal.aborted && this.#running.size < max_at_once) {
      const task = this.#queue.shift();
      if (task === undefined) return;
      const run = this.#run(task).finally(() => {
        this.#running.delete(run);
        this.#tasks.delete(`${task.actor.tenant_id} ${task.projection.name} ${task.number}`);
        this.#runQueued();
      });
      this.#running.add(run);
    }
  }

  /** Until it is swapped, canceled or failed, or the process stops. */
  async #run(task: Task): Promise<void> {
    const { logger } = this.#options;
    const line = lineOf(task);
    for (let failures = 0; !this.#stopping.signal.aborted; ) {
      try {
        await sweepVersions(
          this.#options.database,
          task.actor.tenant_id,
          task.projection,
          this.#stopping.signal,
        );
        if (
          await this.#build(task, () => {
            failures = 0;
          })
        )
          await this.#finish(task);
        return;
      } catch (error) {
        task.limit = Math.max(min_slice_positions, Math.floor(task.limit / 4));
        if (!(error instanceof Problem)) failures += 1;
        logger.warn({ ...line, failures, error: messageOf(error) }, 'a rebuild has failed and tries again');
        if (failures >= max_failures) {
          await this.#fail(task, messageOf(error)).catch((unrecorded: unknown) => {
            logger.warn(
              { ...line, error: messageOf(unrecorded) },
              'the failure of a rebuild could not be recorded',
            );
          });
          return;
        }
        await this.#rest(failure_rest_ms * 2 ** failures);
      }
    }
  }

  /** Comes to the head of the log; answers whether it still runs. */
  async #build(task: Task, onApplied: () => void): Promise<boolean> {
    const { database, metrics } = this.#options;
    while (!this.#stopping.signal.aborted) {
      const began_ms = performance.now();
      const applied = await database.transaction(task.actor, (tx) => maybeApplySlice(tx, task, task.limit));
      const took_ms = performance.now() - began_ms;
      if (applied === null) return false;
      if (applied.state === 'slice') {
        onApplied();
        metrics.applied(task.projection.name, took_ms);
        const { position, head_position } = applied;
        if (position !== null && head_position !== null && head_position - position < min_slice_positions)
          return true;
        await this.#pace(task, took_ms);
      } else if (applied.state === 'caught_up') return true;
      else await this.#rest(busy_rest_ms);
    }
    return false;
  }

  /** Compares both versions at one position, and lets what was built take its place. */
  async #finish(task: Task): Promise<void> {
    const { database, logger, metrics } = this.#options;
    const line = lineOf(task);
    const found = await this.#compare(task);
    if (this.#stopping.signal.aborted) return;
    if (found !== null) {
      await database.transaction(task.actor, (tx) => recordComparison(tx, task, found));
      if (found.difference_count > 0) {
        metrics.differed(task.projection.name, found.difference_count);
        logger.error(
          { ...line, position: found.position, difference_count: found.difference_count },
          'a projection differs from what its log says',
        );
      }
    }
    for (let outcome = 'busy'; outcome === 'busy' && !this.#stopping.signal.aborted; ) {
      this.#appending += 1;
      outcome = await database
        .transaction(task.actor, (tx) => maybeSwap(tx, task))
        .finally(() => {
          this.#appending -= 1;
        });
      if (outcome === 'swapped') logger.info(line, 'a projection was rebuilt');
      if (outcome === 'busy') await this.#rest(busy_rest_ms);
    }
  }

  /** Null when both versions cannot come to the same position: what is read is parked or fails, and only a swap helps it. */
  async #compare(task: Task): Promise<Comparison | null> {
    const { database } = this.#options;
    for (let attempt = 0; attempt < max_comparisons && !this.#stopping.signal.aborted; attempt += 1) {
      const found = await database.read(task.actor, (tx) => maybeCompare(tx, task));
      if (found !== null) return found;
      const { position, built_position } = await database.read(task.actor, (tx) => findPositions(tx, task));
      const ahead = built_position - position;
      if (ahead === 0) continue;
      const applied = await database.transaction(task.actor, (tx) =>
        ahead > 0
          ? applyLiveSlice(tx, task, Math.min(ahead, first_slice_positions))
          : maybeApplySlice(tx, task, -ahead),
      );
      if (applied === null || applied.state === 'parked' || applied.state === 'resting') return null;
      if (applied.state === 'busy') await this.#rest(busy_rest_ms);
    }
    return null;
  }

  async #fail(task: Task, reason: string): Promise<void> {
    const { database, logger } = this.#options;
    await database.transaction(task.actor, (tx) => failRebuild(tx, task, reason));
    logger.error({ ...lineOf(task), reason }, 'a rebuild has failed');
  }

  /** Fits the next slice to the time, and rests when somebody posts. */
  async #pace(task: Task, took_ms: number): Promise<void> {
    const [first_ms = Number.NEGATIVE_INFINITY] = this.#posted_ms;
    const is_polite = this.#posted_ms.length === polite_commits && performance.now() - first_ms < polite_ms;
    const wanted_ms = is_polite ? polite_slice_ms : slice_ms;
    const fitting = Math.floor((task.limit * wanted_ms) / Math.max(1, took_ms));
    task.limit = Math.max(min_slice_positions, Math.min(max_slice_positions, task.limit * 8, fitting));
    if (!is_polite) return;
    const turn = this.#turn.then(() => this.#rest(took_ms * polite_rest_factor));
    this.#turn = turn;
    await turn;
  }

  async #rest(ms: number): Promise<void> {
    await setTimeout(ms, undefined, { signal: this.#stopping.signal }).catch((error: unknown) => {
      if (!this.#stopping.signal.aborted) throw error;
    });
  }
}

function lineOf({ actor, projection, number }: Task) {
  return { tenant_id: actor.tenant_id, projection: projection.name, number };
}

/** Not the `detail` of a database error, which quotes rows. */
function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
