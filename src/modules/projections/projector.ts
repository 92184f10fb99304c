// Carries projections forward along the logs of all tenants. Commits of this process wake it at once; those of other processes are found
// by looking. A wake-up that is lost costs a second, never an event: how far a projection has come is a row in the database.
import { Counter, Gauge, Histogram } from 'prom-client';
import { z } from 'zod';
import { type Actor, platform_tenant_id, queries, system_actor_id } from '../../db.ts';
import type { Context } from '../../module.ts';
import { listTenants } from '../tenants/index.ts';

const sql = queries(import.meta.url, 'balances_apply');

const AppliedSchema = z.object({
  position: z.number().nullable(),
  head_position: z.number().nullable(),
});

/** Of the time of one tenant's projection, at most one part in so many is spent on it; the rest is for posting. */
const rest_factor = 7;
const min_rest_ms = 50;
const max_rest_ms = 500;
/** A slice that takes longer than this is made smaller: entries that wait for it are counted by every reader meanwhile. */
const max_slice_ms = 250;
const min_slice_positions = 250;
const max_slice_positions = 20_000;
const max_retry_ms = 30_000;
/** Applying is work for the database's processors, of which posting needs the most. */
const max_concurrent = 2;
/** how often tenants are looked at that nobody has woken, and how many of them each time */
const look_interval_ms = 1_000;
const look_tenants = 50;
/** how often tenants are looked for that this process has not seen */
const list_interval_ms = 60_000;
const list_page = 1_000;

const platform: Actor = {
  tenant_id: platform_tenant_id,
  actor_id: system_actor_id,
  request_id: 'projections',
};

/** One tenant's projection, as this process follows it. */
interface Follower {
  tenant_id: string;
  /** there may be something to apply */
  woken: boolean;
  state: 'resting' | 'queued' | 'running';
  timer: NodeJS.Timeout | null;
  not_before_ms: number;
  looked_at_ms: number;
  slice_positions: number;
  failures: number;
  /** how far it has come, and how many positions it lags behind, when last seen */
  position: number | null;
  lag: number;
}

export class Projector {
  readonly #context: Context;
  readonly #followers = new Map<string, Follower>();
  readonly #queue: Follower[] = [];
  readonly #running = new Set<Promise<void>>();
  readonly #applied: Counter;
  readonly #apply_seconds: Histogram;
  #timers: NodeJS.Timeout[] = [];
  #stopListening: () => void = () => undefined;
  #stopped = false;

  constructor(context: Context) {
    this.#context = context;
    const registers = [context.metrics];
    this.#applied = new Counter({
      name: 'lattice_projection_positions_total',
      help: 'Positions applied to the balances projection',
      registers,
    });
    this.#apply_seconds = new Histogram({
      name: 'lattice_projection_apply_seconds',
      help: 'Duration of one slice of the balances projection',
      buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
      registers,
    });
    const followers = this.#followers;
    new Gauge({
      name: 'lattice_projection_lag_positions',
      help: 'Positions that the balances projection of the tenant that lags most had still to apply, when last seen',
      registers,
      collect() {
        this.set(Math.max(0, ...[...followers.values()].map((follower) => follower.lag)));
      },
    });
  }

  async start(): Promise<void> {
    this.#stopListening = this.#context.database.onAppend((tenant_id) => this.wake(tenant_id));
    await this.#listTenants();
    this.#timers = [
      setInterval(() => this.#look(), look_interval_ms),
      setInterval(() => void this.#listTenants(), list_interval_ms),
    ];
  }

  /** Applies nothing more, when what is under way is done. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#stopListening();
    for (const timer of this.#timers) clearInterval(timer);
    for (const follower of this.#followers.values())
      if (follower.timer !== null) clearTimeout(follower.timer);
    this.#queue.length = 0;
    await Promise.all(this.#running);
  }

  /** There is something new in the tenant's log. */
  wake(tenant_id: string): void {
    let follower = this.#followers.get(tenant_id);
    if (follower === undefined) {
      follower = {
        tenant_id,
        woken: true,
        state: 'resting',
        timer: null,
        not_before_ms: 0,
        looked_at_ms: 0,
        slice_positions: 5_000,
        failures: 0,
        position: null,
        lag: 0,
      };
      this.#followers.set(tenant_id, follower);
    }
    follower.woken = true;
    this.#schedule(follower);
  }

  #schedule(follower: Follower): void {
    if (this.#stopped || follower.state !== 'resting' || follower.timer !== null) return;
    const rest_ms = follower.not_before_ms - performance.now();
    if (rest_ms > 0) {
      follower.timer = setTimeout(() => {
        follower.timer = null;
        this.#schedule(follower);
      }, rest_ms);
      return;
    }
    follower.state = 'queued';
    this.#queue.push(follower);
    this.#runQueued();
  }

  #runQueued(): void {
    while (!this.#stopped && this.#running.size < max_concurrent) {
      const follower = this.#queue.shift();
      if (follower === undefined) return;
      follower.state = 'running';
      follower.woken = false;
      const run = this.#apply(follower).finally(() => {
        this.#running.delete(run);
        follower.state = 'resting';
        if (follower.woken) this.#schedule(follower);
        this.#runQueued();
      });
      this.#running.add(run);
    }
  }

  async #apply(follower: Follower): Promise<void> {
    const began_ms = performance.now();
    try {
      const [applied] = await this.#context.database.call(
        sql.balances_apply,
        { tenant_id: follower.tenant_id, limit: follower.slice_positions },
        AppliedSchema,
      );
      this.#settle(
        follower,
        performance.now() - began_ms,
        applied ?? { position: null, head_position: null },
      );
    } catch (error) {
      // Whatever it is, nothing was applied: the same slice is tried again, for as long as it takes.
      this.#fail(follower, error);
    }
  }

  #settle(follower: Follower, took_ms: number, applied: z.infer<typeof AppliedSchema>): void {
    const { logger } = this.#context;
    if (follower.failures > 0)
      logger.info({ tenant_id: follower.tenant_id }, 'balances are carried forward again');
    follower.failures = 0;
    follower.looked_at_ms = performance.now();
    if (applied.position === null || applied.head_position === null) {
      // Another process is at it. Should that one end, this one goes on.
      follower.not_before_ms = performance.now() + look_interval_ms;
      follower.woken = true;
      return;
    }
    this.#apply_seconds.observe(took_ms / 1_000);
    this.#applied.inc(applied.position - (follower.position ?? applied.position));
    follower.position = applied.position;
    follower.lag = applied.head_position - applied.position;
    if (took_ms > max_slice_ms) {
      follower.slice_positions = Math.max(min_slice_positions, Math.ceil(follower.slice_positions / 2));
    } else if (follower.lag > 0 && took_ms < max_slice_ms / 4) {
      follower.slice_positions = Math.min(max_slice_positions, follower.slice_positions * 2);
    }
    if (follower.lag > 0) {
      follower.woken = true;
      return;
    }
    const rest_ms = Math.min(max_rest_ms, Math.max(min_rest_ms, took_ms * rest_factor));
    follower.not_before_ms = performance.now() + rest_ms;
  }

  #fail(follower: Follower, error: unknown): void {
    follower.failures += 1;
    const retry_ms = Math.min(max_retry_ms, 100 * 2 ** Math.min(follower.failures, 10));
    follower.not_before_ms = performance.now() + retry_ms;
    follower.woken = true;
    if (follower.failures === 1) {
      this.#context.logger.error(
        { tenant_id: follower.tenant_id, err: error },
        'balances could not be carried forward',
      );
    }
  }

  /** Looks at those whose last look is longest ago: other processes append to their logs too. */
  #look(): void {
    const due = [...this.#followers.values()]
      .filter((follower) => follower.state === 'resting' && follower.timer === null)
      .sort((a, b) => a.looked_at_ms - b.looked_at_ms)
      .slice(0, look_tenants);
    for (const follower of due) this.wake(follower.tenant_id);
  }

  async #listTenants(): Promise<void> {
    try {
      for (let after: string | null = null; !this.#stopped; ) {
        const page: { id: string }[] = await this.#context.database.read(platform, (tx) =>
          listTenants(tx, { row_limit: list_page, after, status: null }),
        );
        for (const { id } of page) if (!this.#followers.has(id)) this.wake(id);
        const last = page.at(-1);
        if (last === undefined || page.length < list_page) return;
        after = last.id;
      }
    } catch (error) {
      // The next look-up is a minute away; what this process appends to wakes its tenants anyway.
      this.#context.logger.warn({ err: error }, 'tenants could not be listed for projections');
    }
  }
}
