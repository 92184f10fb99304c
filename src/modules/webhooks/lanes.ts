// What this process has in its hands, endpoint by endpoint, and how much of it is called about at once.
//
// An endpoint that answers gets more calls at once, one that fails gets one. Lanes take turns. A call that takes long gives up its place
// among the quick ones, so an endpoint that hangs delays nobody but itself.
import type { Assignment } from './attempt.ts';

/** calls at once to an endpoint that answers */
const max_window = 64;
/** deliveries of an ordered endpoint that are taken together, and called about one after the other */
const ordered_batch = 32;
/** calls that have not been out for long */
const max_quick = 96;
/** after this a call is a slow one, and another may begin in its place … */
const quick_ms = 500;
/** … as long as there are no more open than this */
const max_open = 2_000;

export interface Lane {
  tenant_id: string;
  endpoint_id: string;
  is_ordered: boolean;
  queue: Assignment[];
  calling: number;
  /** calls at once */
  window: number;
  /** there was as much as there was room for, so there may be more */
  has_more: boolean;
  /** outcomes that the database has not been told */
  unrecorded: number;
  is_ready: boolean;
  used_ms: number;
}

export function newLane(tenant_id: string, endpoint_id: string): Lane {
  return {
    tenant_id,
    endpoint_id,
    is_ordered: false,
    queue: [],
    calling: 0,
    window: 1,
    has_more: false,
    unrecorded: 0,
    is_ready: false,
    used_ms: performance.now(),
  };
}

/** How many deliveries a lane would take; the same for one that is not there yet. */
export function roomOf(lane: Lane): number {
  if (lane.is_ordered) return isBusy(lane) ? 0 : ordered_batch;
  return Math.max(0, 2 * lane.window - lane.calling - lane.queue.length);
}

export const first_room = 2;

export function isBusy(lane: Lane): boolean {
  return lane.calling + lane.queue.length + lane.unrecorded > 0;
}

/** Learns from the outcome of a call. */
export function noteOutcome(lane: Lane, succeeded: boolean): void {
  lane.window = succeeded ? Math.min(max_window, 2 * lane.window) : 1;
}

/** Gives lanes their turns. */
export class Turns {
  readonly #begin: (lane: Lane, assignment: Assignment) => Promise<void>;
  readonly #ready: Lane[] = [];
  /** when they began, oldest first */
  readonly #quick = new Map<object, number>();
  readonly #open = new Set<Promise<void>>();
  #timer: NodeJS.Timeout | null = null;

  constructor(begin: (lane: Lane, assignment: Assignment) => Promise<void>) {
    this.#begin = begin;
  }

  get open(): number {
    return this.#open.size;
  }

  /** The lane has something to call about, or room to do so. */
  offer(lane: Lane): void {
    if (!lane.is_ready && canBegin(lane)) {
      lane.is_ready = true;
      this.#ready.push(lane);
    }
    this.#turn();
  }

  async settled(): Promise<void> {
    while (this.#open.size > 0) await Promise.all(this.#open);
  }

  #turn(): void {
    while (this.#ready.length > 0 && this.#open.size < max_open && this.#hasPlace()) {
      const lane = this.#ready.shift();
      const assignment = lane?.queue.shift();
      if (lane === undefined) break;
      lane.is_ready = false;
      if (assignment === undefined) continue;
      lane.calling += 1;
      lane.used_ms = performance.now();
      const place = {};
      this.#quick.set(place, lane.used_ms);
      const calling = this.#begin(lane, assignment).finally(() => {
        this.#quick.delete(place);
        this.#open.delete(calling);
        lane.calling -= 1;
        this.offer(lane);
      });
      this.#open.add(calling);
      if (canBegin(lane)) {
        lane.is_ready = true;
        this.#ready.push(lane);
      }
    }
    if (this.#ready.length > 0) this.#lookLater();
  }

  #hasPlace(): boolean {
    const now_ms = performance.now();
    for (const [place, began_ms] of this.#quick) {
      if (now_ms - began_ms < quick_ms) break;
      this.#quick.delete(place);
    }
    return this.#quick.size < max_quick;
  }

  #lookLater(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.#turn();
    }, quick_ms / 5);
  }
}

function canBegin(lane: Lane): boolean {
  return lane.queue.length > 0 && lane.calling < (lane.is_ordered ? 1 : lane.window);
}
