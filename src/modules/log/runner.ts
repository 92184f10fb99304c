// Runs the consumers of all tenants: for each pair of them slices in order and never two at once, in whatever process comes first.
// Wake-ups say where to look; looking around finds the rest. How far a consumer has come is a row in the database, so a lost wake-up
// costs an interval and never an event.
//
// A pair that fails rests, longer each time, and tries single positions; one that keeps failing at the same position is parked. A slice
// that takes long gives up its place among the quick ones, so one tenant's trouble does not delay the others.
import pg from 'pg';
import type { Applied, Consumer } from '../../consumer.ts';
import { type Database, platform_tenant_id } from '../../db.ts';
import { Problem } from '../../errors.ts';
import type { Logger } from '../../log.ts';
import type { ConsumerMetrics } from './consumer_metrics.ts';
import { failConsumer, listLagging, type Retries } from './consumers.ts';
import { type Follower, newFollower, nextLimit, noteHead, restMs } from './follower.ts';
import { KnownTenants, type ListTenants } from './known_tenants.ts';
import type { Wakes } from './wakes.ts';

/** slices at once; they are work for the database's processors, of which posting needs the most */
const max_quick = 3;
/** of one tenant */
const max_quick_per_tenant = 2;
/** A slice that runs longer than this is a slow one, and another may begin in its place … */
const quick_ms = 1_000;
/** … as long as there are no more of them than this. */
const max_slow = 4;
/** Another process is at it; should that one end, this one goes on. */
const busy_rest_ms = 1_000;
/** how often tenants are looked at that nobody has woken, and how many in one statement */
const look_interval_ms = 1_000;
const tenants_per_look = 100;
/** how often tenants are looked for that this process has not heard of, and how long a pair with nothing to do is remembered */
const list_interval_ms = 60_000;

export const usual_retries: Retries = { max_attempts: 8, first_retry_ms: 200, max_retry_ms: 30_000 };

export interface RunnerOptions {
  database: Database;
  logger: Logger;
  wakes: Wakes;
  metrics: ConsumerMetrics;
  consumers: Consumer[];
  listTenants: ListTenants;
  retries: Retries;
}

export class ConsumerRunner {
  readonly #options: RunnerOptions;
  readonly #followers = new Map<string, Follower>();
  readonly #tenants: KnownTenants;
  readonly #queue: Follower[] = [];
  readonly #running = new Set<Promise<void>>();
  readonly #quick = new Map<Follower, string>();
  #slow = 0;
  #timers: NodeJS.Timeout[] = [];
  #listing: NodeJS.Timeout | null = null;
  #stopListening: (() => void)[] = [];
  #looking: Promise<void> = Promise.resolve();
  #is_looking = false;
  #stopped = false;

  constructor(options: RunnerOptions) {
    this.#options = options;
    this.#tenants = new KnownTenants(options.listTenants);
    options.metrics.observe(() => this.#followers.values());
  }

  async start(): Promise<void> {
    const { database, wakes } = this.#options;
    this.#stopListening = [
      database.onAppend((tenant_id, position) => this.#wakeTenant(tenant_id, position)),
      wakes.onResync(() => this.#lookSoon(this.#tenants.all())),
    ];
    await this.#listTenants('all');
    this.#timers = [
      setInterval(() => {
        if (!this.#is_looking) this.#lookSoon(this.#tenants.due());
      }, look_interval_ms),
      setInterval(() => void this.#listTenants('all'), list_interval_ms),
      setInterval(() => this.#forget(), list_interval_ms),
    ];
  }

  /** Applies nothing more, when what is under way is done. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const stop of this.#stopListening) stop();
    for (const timer of this.#timers) clearInterval(timer);
    if (this.#listing !== null) clearTimeout(this.#listing);
    for (const { timer } of this.#followers.values()) if (timer !== null) clearTimeout(timer);
    this.#queue.length = 0;
    await this.#looking;
    await Promise.all(this.#running);
  }

  #wakeTenant(tenant_id: string, position: number): void {
    if (this.#stopped) return;
    this.#tenants.woken(tenant_id);
    for (const consumer of this.#options.consumers) {
      const follower = this.#follower(tenant_id, consumer);
      noteHead(follower, position);
      if (follower.position === null || follower.position < position) this.#wake(follower);
    }
  }

  #wake(follower: Follower): void {
    if (follower.tenant_id === platform_tenant_id) this.#listSoon();
    // The next look finds out when it has been resumed.
    if (follower.is_parked) return;
    follower.woken = true;
    this.#schedule(follower);
  }

  #schedule(follower: Follower): void {
    if (this.#stopped || follower.state !== 'resting') return;
    const rest_ms = follower.not_before_ms - performance.now();
    if (rest_ms > 0) {
      follower.timer ??= setTimeout(() => {
        follower.timer = null;
        if (follower.woken) this.#schedule(follower);
      }, rest_ms);
      return;
    }
    if (follower.timer !== null) clearTimeout(follower.timer);
    follower.timer = null;
    follower.state = 'queued';
    this.#queue.push(follower);
    this.#runQueued();
  }

  #runQueued(): void {
    while (!this.#stopped && this.#quick.size < max_quick) {
      const index = this.#queue.findIndex(({ tenant_id }) => this.#quickOf(tenant_id) < max_quick_per_tenant);
      const [follower] = index === -1 ? [] : this.#queue.splice(index, 1);
      if (follower === undefined) return;
      const run = this.#run(follower).finally(() => {
        this.#running.delete(run);
        if (follower.woken) this.#schedule(follower);
        this.#runQueued();
      });
      this.#running.add(run);
    }
  }

  #quickOf(tenant_id: string): number {
    let count = 0;
    for (const each of this.#quick.values()) if (each === tenant_id) count += 1;
    return count;
  }

  async #run(follower: Follower): Promise<void> {
    follower.state = 'running';
    follower.woken = false;
    follower.used_ms = performance.now();
    this.#quick.set(follower, follower.tenant_id);
    let is_slow = false;
    const growing_slow = setInterval(() => {
      if (is_slow || this.#slow >= max_slow) return;
      is_slow = true;
      this.#slow += 1;
      this.#quick.delete(follower);
      this.#runQueued();
    }, quick_ms);
    try {
      await this.#apply(follower);
    } finally {
      clearInterval(growing_slow);
      this.#quick.delete(follower);
      if (is_slow) this.#slow -= 1;
      follower.state = 'resting';
    }
  }

  async #apply(follower: Follower): Promise<void> {
    const { consumer, tenant_id, limit } = follower;
    const began_ms = performance.now();
    let applied: Applied;
    try {
      applied = await consumer.apply({ tenant_id, limit });
    } catch (error) {
      // Whatever it is, nothing was applied.
      await this.#fail(follower, error);
      return;
    }
    this.#settle(follower, performance.now() - began_ms, applied);
  }

  #settle(follower: Follower, took_ms: number, applied: Applied): void {
    const { logger, metrics } = this.#options;
    const { consumer, tenant_id } = follower;
    follower.is_parked = applied.state === 'parked';
    if (applied.position === null || applied.head_position === null) {
      follower.not_before_ms = performance.now() + busy_rest_ms;
      follower.woken = true;
      return;
    }
    const before = follower.position;
    follower.position = applied.position;
    noteHead(follower, applied.head_position);
    if (applied.state === 'parked') {
      follower.woken = false;
      return;
    }
    if (applied.state === 'resting') {
      follower.not_before_ms = performance.now() + (applied.retry_ms ?? 0);
      follower.woken = true;
      return;
    }
    if (follower.failures > 0)
      logger.info({ tenant_id, consumer: consumer.name }, 'a consumer follows again');
    follower.failures = 0;
    if (applied.state === 'slice') {
      metrics.applied(consumer.name, applied.position - (before ?? applied.position), took_ms);
      follower.limit = nextLimit(follower, took_ms);
    }
    if (applied.position < applied.head_position) {
      follower.woken = true;
      return;
    }
    follower.not_before_ms = performance.now() + restMs(follower, took_ms);
  }

  async #fail(follower: Follower, error: unknown): Promise<void> {
    const { database, logger, metrics, retries } = this.#options;
    const { consumer, tenant_id, position } = follower;
    follower.woken = true;
    // The next ones are single positions: one that is poisoned is then known by its number.
    follower.limit = 1;
    const { first_retry_ms, max_retry_ms } = retries;
    const retry_ms = Math.min(max_retry_ms, first_retry_ms * 2 ** Math.min(follower.failures, 20));
    follower.not_before_ms = performance.now() + retry_ms * (0.5 + Math.random() / 2);
    const line = { tenant_id, consumer: consumer.name, position, error: faultLine(error) };
    if (follower.failures === 0) logger.error(line, 'a consumer has failed and tries again');
    follower.failures += 1;
    metrics.failed(consumer.name);
    if (isPassing(error)) return;
    try {
      const reason = error instanceof Error ? error.message : String(error);
      const failed = await failConsumer(
        database,
        { tenant_id, consumer: consumer.name, position, reason },
        retries,
      );
      follower.not_before_ms = performance.now() + failed.retry_ms;
      follower.is_parked = failed.is_parked;
      if (!failed.is_parked) return;
      follower.woken = false;
      logger.error(line, 'a consumer is parked: it waits until somebody resumes it');
    } catch (unrecorded) {
      // The failure is not counted, and the next one will be.
      logger.warn(
        { ...line, error: faultLine(unrecorded) },
        'the failure of a consumer could not be recorded',
      );
    }
  }

  #lookSoon(tenant_ids: string[]): void {
    this.#is_looking = true;
    const looking = this.#looking
      .then(() => this.#look(tenant_ids))
      .finally(() => {
        if (this.#looking === looking) this.#is_looking = false;
      });
    this.#looking = looking;
  }

  /** Wakes those of these tenants' consumers that have something to do. */
  async #look(tenant_ids: string[]): Promise<void> {
    const { database, consumers, logger } = this.#options;
    const names = consumers.map(({ name }) => name);
    for (let at = 0; at < tenant_ids.length && !this.#stopped; at += tenants_per_look) {
      const some = tenant_ids.slice(at, at + tenants_per_look);
      for (const id of some) this.#tenants.lookedAt(id);
      try {
        const lagging = await listLagging(database, some, names);
        for (const follower of this.#followers.values()) {
          if (follower.is_parked && some.includes(follower.tenant_id)) follower.is_parked = false;
        }
        for (const each of lagging) {
          const consumer = consumers.find(({ name }) => name === each.name);
          if (consumer === undefined) continue;
          const follower = this.#follower(each.tenant_id, consumer);
          follower.is_parked = each.is_parked;
          noteHead(follower, each.head_position);
          this.#wake(follower);
        }
      } catch (error) {
        // The next look is a second away.
        logger.warn({ error: faultLine(error) }, 'consumers that lag behind could not be looked for');
        return;
      }
    }
  }

  /** There may be a new tenant. */
  #listSoon(): void {
    this.#listing ??= setTimeout(() => {
      this.#listing = null;
      void this.#listTenants('last');
    }, look_interval_ms);
  }

  async #listTenants(of: 'all' | 'last'): Promise<void> {
    try {
      this.#lookSoon(await this.#tenants.listNew(of));
    } catch (error) {
      // The next list is a minute away; what this process appends to wakes its tenants anyway.
      this.#options.logger.warn({ error: faultLine(error) }, 'tenants could not be listed for consumers');
    }
  }

  #follower(tenant_id: string, consumer: Consumer): Follower {
    const key = `${consumer.name} ${tenant_id}`;
    const known = this.#followers.get(key) ?? newFollower(tenant_id, consumer);
    this.#followers.set(key, known);
    return known;
  }

  /** What has nothing to do and had nothing for a while need not be remembered. */
  #forget(): void {
    const now_ms = performance.now();
    for (const [key, { state, timer, woken, is_parked, used_ms }] of this.#followers) {
      const is_idle = state === 'resting' && timer === null && !woken && !is_parked;
      if (is_idle && now_ms - used_ms > list_interval_ms) this.#followers.delete(key);
    }
  }
}

/** What may stand in a log line: not the `detail` of a database error, which quotes rows. */
function faultLine(error: unknown): { message: string; code?: string; stack?: string } {
  if (!(error instanceof Error)) return { message: String(error) };
  return {
    message: error.message,
    ...('code' in error ? { code: String(error.code) } : {}),
    ...(error.stack === undefined ? {} : { stack: error.stack }),
  };
}

/** Nobody's fault and over sooner or later: the database is away, or two transactions were in each other's way. */
function isPassing(error: unknown): boolean {
  if (!(error instanceof Problem) || error.code !== 'unavailable') return false;
  // A slice that times out may do so each time.
  return !(error.cause instanceof pg.DatabaseError && error.cause.code === '57014');
}
