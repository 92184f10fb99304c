// Runs the consumers of all tenants: for each pair of them slices in order and never two at once, in whatever process comes first.
// Wake-ups say where to look; looking around finds the rest. How far a consumer has come is a row in the database, so a lost wake-up
// costs an interval and never an event.
//
// A pair that fails rests, longer each time, and tries single positions; one that keeps failing at the same position is parked. A slice
// that takes long gives up its place among the quick ones, so one tenant's trouble does not delay the others.
import { availableParallelism } from 'node:os';
import type { Applied, Consumer, PassedOver } from '../../consumer.ts';
import { type Database, platform_tenant_id } from '../../db.ts';
import type { Logger } from '../../log.ts';
import type { ConsumerMetrics } from './consumer_metrics.ts';
import { failConsumer, listLagging, type Retries } from './consumers.ts';
import { faultLine, isPassing } from './faults.ts';
import { type Follower, nextLimit, noteHead, restMs } from './follower.ts';
import { Followers } from './followers.ts';
import { Gathering } from './gathering.ts';
import { KnownTenants, type ListTenants } from './known_tenants.ts';
import { Pace } from './pace.ts';
import { QuietTenants } from './quiet_tenants.ts';
import type { Wakes } from './wakes.ts';

/** Slices at once, one for two processors: posting needs the most of them, and two slices on two of them cost it a quarter of its rate. */
const max_quick = Math.max(1, Math.floor(availableParallelism() / 2));
/** A slice that runs longer than this is a slow one, and another may begin in its place … */
const quick_ms = 1_000;
/** … as long as there are no more of them than this. */
const max_slow = 4;
/** Another process is at it; should that one end, this one goes on. */
const busy_rest_ms = 1_000;
/** what is appended in this time is one wake-up */
const wake_interval_ms = 20;
/** how often tenants are looked at that nobody has woken, and how many in one statement */
const look_interval_ms = 1_000;
const tenants_per_look = 100;
/** how often tenants are looked for that this process has not heard of, and how long a pair with nothing to do is remembered */
const list_interval_ms = 60_000;

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
  readonly #followers: Followers;
  readonly #appended = new Gathering(wake_interval_ms, (heads) => this.#wakeTenants(heads));
  readonly #quiet: QuietTenants;
  readonly #pace = new Pace();
  #pausing: NodeJS.Timeout | null = null;
  readonly #tenants: KnownTenants;
  readonly #queue: Follower[] = [];
  readonly #running = new Set<Promise<void>>();
  readonly #quick = new Set<Follower>();
  /** of which only one is quick at a time, so that no tenant takes all places */
  readonly #busy_tenants = new Set<string>();
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
    this.#followers = new Followers(options.consumers);
    this.#quiet = new QuietTenants({
      onPassedOver: (consumer, passed) => this.#passedOver(consumer, passed),
      onTrouble: ({ name }, error) =>
        options.logger.warn({ consumer: name, error: faultLine(error) }, 'tenants could not be passed over'),
    });
  }

  async start(): Promise<void> {
    const { database, wakes } = this.#options;
    this.#stopListening = [
      database.onAppend((tenant_id, position) => this.#appended.note(tenant_id, position)),
      wakes.onResync(() => this.#lookSoon(this.#tenants.all())),
    ];
    await this.#listTenants('all');
    this.#timers = [
      setInterval(() => {
        if (!this.#is_looking) this.#lookSoon(this.#tenants.due((id) => this.#followers.isParked(id)));
      }, look_interval_ms),
      setInterval(() => void this.#listTenants('all'), list_interval_ms),
      setInterval(() => this.#followers.forget(list_interval_ms), list_interval_ms),
    ];
  }

  /** Applies nothing more, when what is under way is done. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const stop of this.#stopListening) stop();
    for (const timer of this.#timers) clearInterval(timer);
    this.#appended.stop();
    if (this.#listing !== null) clearTimeout(this.#listing);
    if (this.#pausing !== null) clearTimeout(this.#pausing);
    for (const { timer } of this.#followers) if (timer !== null) clearTimeout(timer);
    this.#queue.length = 0;
    await this.#quiet.stop();
    await this.#looking;
    await Promise.all(this.#running);
  }

  #wakeTenants(heads: Map<string, number>): void {
    if (this.#stopped) return;
    for (const [tenant_id, head_position] of heads) {
      this.#tenants.woken(tenant_id);
      for (const follower of this.#followers.of(tenant_id)) {
        noteHead(follower, head_position);
        if (follower.position === null || follower.position < head_position) this.#wake(follower);
      }
    }
  }

  #wake(follower: Follower): void {
    const { consumer, tenant_id } = follower;
    if (tenant_id === platform_tenant_id) this.#listSoon();
    // The next look finds out when it has been resumed.
    if (follower.is_parked || this.#followers.goesAlong(follower)) return;
    if (consumer.quiet?.has(tenant_id) === true) {
      this.#quiet.note(consumer, tenant_id);
      return;
    }
    follower.woken = true;
    this.#schedule(follower);
  }

  #passedOver(consumer: Consumer, { tenant_id, position, is_wanted }: PassedOver): void {
    if (this.#stopped) return;
    const follower = this.#followers.find(tenant_id, consumer.name);
    // What another process is at is looked at again, and so is what has grown meanwhile.
    if (position !== null) follower.position = position;
    noteHead(follower, position ?? 0);
    if (is_wanted || follower.position !== follower.head_position) this.#wake(follower);
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
    while (!this.#stopped && this.#quick.size < max_quick && this.#pausing === null) {
      const index = this.#queue.findIndex(({ tenant_id }) => !this.#busy_tenants.has(tenant_id));
      if (index === -1) return;
      const pause_ms = this.#pace.take(this.#queue.length);
      if (pause_ms > 0) {
        this.#pausing = setTimeout(() => {
          this.#pausing = null;
          this.#runQueued();
        }, pause_ms);
        return;
      }
      const [follower] = this.#queue.splice(index, 1);
      if (follower === undefined) return;
      const run = this.#run(follower).finally(() => {
        this.#running.delete(run);
        if (follower.woken) this.#schedule(follower);
        this.#runQueued();
      });
      this.#running.add(run);
    }
  }

  async #run(follower: Follower): Promise<void> {
    follower.state = 'running';
    follower.woken = false;
    follower.used_ms = performance.now();
    this.#quick.add(follower);
    this.#busy_tenants.add(follower.tenant_id);
    let is_slow = false;
    const leave = () => {
      if (this.#quick.delete(follower)) this.#busy_tenants.delete(follower.tenant_id);
    };
    const growing_slow = setInterval(() => {
      if (is_slow || this.#slow >= max_slow) return;
      is_slow = true;
      this.#slow += 1;
      leave();
      this.#runQueued();
    }, quick_ms);
    try {
      await this.#apply(follower);
    } finally {
      clearInterval(growing_slow);
      leave();
      if (is_slow) this.#slow -= 1;
      follower.state = 'resting';
    }
  }

  async #apply(follower: Follower): Promise<void> {
    const { consumer, tenant_id, limit } = follower;
    const began_ms = performance.now();
    let applied: Applied | null = null;
    try {
      // Whose failure it was shows when each is alone.
      applied = await consumer.apply({ tenant_id, limit, alone: follower.failures > 0 });
    } catch (error) {
      // Whatever it is, nothing was applied.
      await this.#fail(follower, error);
    }
    follower.leads = applied?.state === 'slice' || applied?.state === 'caught_up';
    if (applied !== null) this.#settle(follower, performance.now() - began_ms, applied);
    for (const other of this.#followers.leftBeside(follower)) this.#wake(other);
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
    const moved = this.#followers.move(follower, applied);
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
      for (const [name, positions] of moved) metrics.applied(name, positions, took_ms);
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
        this.#followers.unpark(some);
        for (const each of lagging) {
          const follower = this.#followers.find(each.tenant_id, each.name);
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
    if (this.#stopped) return;
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
}
