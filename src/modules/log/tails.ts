// The tails of all tenants whose log somebody follows here: opened with the first client, closed some time after the last. Word of new
// events wakes them; looking now and then finds what no word came of.
import { Counter, Gauge, type Registry } from 'prom-client';
import { z } from 'zod';
import { type Database, queries } from '../../db.ts';
import type { Logger } from '../../log.ts';
import { EventRowSchema } from './events.ts';
import { Frame, type FrameMaker, type OwnEvent } from './frame.ts';
import { mayBeCut, type PageSize, page_bytes } from './page_size.ts';
import { Tail, type TailReader } from './tail.ts';
import { TailRest } from './tail_rest.ts';
import type { Wakes } from './wakes.ts';

const sql = queries(import.meta.url, 'tail_list', 'tail_bounds', 'tail_list_heads');

/** read into the ring when a tail is opened: whoever comes back after a restart was not away for long */
const first_ring_positions = 500;
/** of all rings together, and of one at least */
const rings_bytes = 96 * 1024 * 1024;
const min_ring_bytes = 64 * 1024;
/** Of one ring at most: in a larger one events grow old at the full rate, and collecting those took a tenth of the process's time. */
const max_ring_bytes = 1024 * 1024;
/** of what one tenant has appended here and its tail has not come to: it is soon gone, and an atomic group should fit */
const max_own_bytes = 4 * 1024 * 1024;
/** how often is looked, when other processes are heard of and when they are not; and at how many tails at a time */
const look_interval_ms = 250;
const look_every = 4;
const tails_per_look = 500;
/** a tail that nobody follows is kept for who comes back */
const idle_ms = 30_000;
/** beyond any position */
const endless = Number.MAX_SAFE_INTEGER;

const BoundsSchema = z.object({ first_position: z.number(), head_position: z.number() });
const HeadSchema = z.object({ tenant_id: z.string(), head_position: z.number() });

export type Bounds = z.infer<typeof BoundsSchema>;

export interface TailsOptions {
  database: Database;
  logger: Logger;
  metrics: Registry;
  wakes: Wakes;
  maker: FrameMaker;
}

export class Tails implements TailReader {
  readonly #options: TailsOptions;
  readonly #tails = new Map<string, Tail>();
  readonly #listeners = new Set<(tenant_id: string, frames: Frame[]) => void>();
  readonly #rest = new TailRest();
  readonly #read_events: Counter;
  #stopListening: (() => void)[] = [];
  #timer: NodeJS.Timeout | null = null;
  #turn = 0;
  #is_looking = false;
  #is_stopped = false;

  constructor(options: TailsOptions) {
    this.#options = options;
    const registers = [options.metrics];
    this.#read_events = new Counter({
      name: 'lattice_stream_events_read_total',
      help: 'Events read from logs for streams that keep up, each once, however many streams it went to; what this process posts itself need not be read',
      registers,
    });
    const tails = this.#tails;
    new Gauge({
      name: 'lattice_stream_tails',
      help: 'Tenants whose log is followed by streams of this process',
      registers,
      collect() {
        this.set(tails.size);
      },
    });
  }

  start(): void {
    const { database, wakes } = this.#options;
    this.#stopListening = [
      database.onAppend((tenant_id, position) => this.#tails.get(tenant_id)?.wake(position)),
      wakes.onResync(() => void this.#look([...this.#tails.keys()])),
    ];
    this.#timer = setInterval(() => this.#lookAround(), look_interval_ms);
  }

  stop(): void {
    this.#is_stopped = true;
    for (const stop of this.#stopListening) stop();
    if (this.#timer !== null) clearInterval(this.#timer);
    for (const tail of this.#tails.values()) tail.stop();
    this.#tails.clear();
  }

  /** Calls `listener` with the events of every log that is followed, before they go to streams. */
  onEvents(listener: (tenant_id: string, frames: Frame[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Where the tenant's log begins and ends at this moment. */
  async findBounds(tenant_id: string): Promise<Bounds> {
    const [bounds] = await this.#options.database.call(sql.tail_bounds, { tenant_id }, BoundsSchema);
    if (bounds === undefined) throw new Error('a log has bounds');
    return bounds;
  }

  /** The tenant's tail, from now on. `bounds` are its log's, just read. */
  open(tenant_id: string, { first_position, head_position }: Bounds): Tail {
    const known = this.#tails.get(tenant_id);
    if (known !== undefined) {
      // Kept for whoever comes now.
      if (known.idle_since_ms !== null) known.idle_since_ms = performance.now();
      known.wake(head_position);
      return known;
    }
    const after = Math.max(0, first_position - 1, head_position - first_ring_positions);
    const tail = new Tail(tenant_id, after, this);
    this.#tails.set(tenant_id, tail);
    tail.wake(head_position);
    return tail;
  }

  /**
   * What this process has just appended to a tenant's log, committed, in order and without gaps: a tail that stands there goes on without
   * reading it. `events` is asked for them when somebody follows the log.
   */
  offer(tenant_id: string, events: () => OwnEvent[]): void {
    const tail = this.#tails.get(tenant_id);
    if (tail === undefined) return;
    const { maker } = this.#options;
    const frames: Frame[] = [];
    for (const { row, touched } of events()) frames.push(new Frame(row, maker, touched));
    tail.offer(frames);
  }

  async readTail(
    tenant_id: string,
    after: number,
    since: string | null,
    size: PageSize,
  ): Promise<{ frames: Frame[]; more: boolean }> {
    const { database, maker } = this.#options;
    const row_limit = size.rows;
    const values = { tenant_id, after, up_to: endless, since, row_limit, max_bytes: page_bytes };
    const rows = await database.call(sql.tail_list, values, EventRowSchema);
    size.learn(rows);
    this.#read_events.inc(rows.length);
    return { frames: rows.map((row) => new Frame(row, maker)), more: mayBeCut(rows, row_limit) };
  }

  onFrames(tenant_id: string, frames: Frame[]): void {
    for (const listener of this.#listeners) listener(tenant_id, frames);
  }

  onTrouble(tenant_id: string, error: unknown, failures: number): void {
    const message = error instanceof Error ? error.message : String(error);
    const line = { tenant_id, error: { message } };
    if (failures === 1) this.#options.logger.warn(line, 'streams could not read the log and try again');
    if (failures === 10) this.#options.logger.error(line, 'streams cannot read the log');
  }

  ringLimitBytes(): number {
    return Math.min(max_ring_bytes, this.#shareBytes());
  }

  ownLimitBytes(): number {
    return Math.min(max_own_bytes, this.#shareBytes());
  }

  leastRestMs(): number {
    return this.#rest.ms;
  }

  #shareBytes(): number {
    return Math.max(min_ring_bytes, rings_bytes / Math.max(1, this.#tails.size));
  }

  #lookAround(): void {
    this.#turn += 1;
    this.#closeIdle();
    this.#rest.learn();
    if (this.#options.wakes.is_connected && this.#turn % look_every !== 0) return;
    if (this.#is_looking) return;
    // Round and round, some at a time: with few tails that is all of them each time.
    const ids = [...this.#tails.keys()];
    const begin = ids.length <= tails_per_look ? 0 : (this.#turn * tails_per_look) % ids.length;
    void this.#look(ids.slice(begin, begin + tails_per_look));
  }

  async #look(tenant_ids: string[]): Promise<void> {
    if (tenant_ids.length === 0 || this.#is_stopped) return;
    this.#is_looking = true;
    try {
      const heads = await this.#options.database.call(sql.tail_list_heads, { tenant_ids }, HeadSchema);
      for (const { tenant_id, head_position } of heads) this.#tails.get(tenant_id)?.wake(head_position);
    } catch (error) {
      // The next look is near.
      const message = error instanceof Error ? error.message : String(error);
      this.#options.logger.debug({ error: { message } }, 'the heads of logs could not be looked at');
    } finally {
      this.#is_looking = false;
    }
  }

  #closeIdle(): void {
    const now_ms = performance.now();
    for (const [tenant_id, tail] of this.#tails) {
      if (tail.idle_since_ms === null || now_ms - tail.idle_since_ms < idle_ms) continue;
      tail.stop();
      this.#tails.delete(tenant_id);
    }
  }
}
