// The end of one tenant's log as it grows: each event is read once and made into bytes once, however many streams it goes to. What this
// process has appended itself is not even read, as long as it follows on what went before.
import { Audience, type Listener } from './audience.ts';
import type { Filter } from './filter.ts';
import type { Frame } from './frame.ts';
import { OwnFrames } from './own_frames.ts';
import { PageSize } from './page_size.ts';
import { Ring } from './ring.ts';

const max_rest_ms = 100;
/** at most one part in so many of the process goes into what streams are sent */
const rest_factor = 4;
const first_retry_ms = 200;
const max_retry_ms = 5_000;

export interface TailReader {
  /** What follows a position, in order and without gaps; at most a page, `more` when that was not all. `since` is the instant at `after`. */
  readTail: (
    tenant_id: string,
    after: number,
    since: string | null,
    size: PageSize,
  ) => Promise<{ frames: Frame[]; more: boolean }>;
  /** Each event once, before it goes to streams. */
  onFrames: (tenant_id: string, frames: Frame[]) => void;
  onTrouble: (tenant_id: string, error: unknown, failures: number) => void;
  /** what the ring of one tenant may weigh, and what it has appended and its tail has not come to */
  ringLimitBytes: () => number;
  ownLimitBytes: () => number;
  /** between two reads, so that what comes in close order is one piece for each client */
  leastRestMs: () => number;
}

/** Waits until the tail has come to a position. */
interface Waiting extends Listener {
  advance: () => void;
}

export class Tail {
  readonly tenant_id: string;
  readonly #reader: TailReader;
  readonly #ring = new Ring();
  readonly #own = new OwnFrames();
  readonly #page_size = new PageSize();
  readonly #audience = new Audience();
  readonly #waiting = new Map<Listener, { waiting: Waiting; position: number }>();
  #head: number;
  #head_at: string | null = null;
  #is_woken = false;
  #is_reading = false;
  #timer: NodeJS.Timeout | null = null;
  #not_before_ms = 0;
  #failures = 0;
  #is_stopped = false;
  #attached = 0;
  /** when the last of those who hold on to it let go; null while there are some */
  idle_since_ms: number | null = performance.now();

  /** Begins after a position; what follows is read at once. */
  constructor(tenant_id: string, after: number, reader: TailReader) {
    this.tenant_id = tenant_id;
    this.#head = after;
    this.#reader = reader;
  }

  /** Everything up to here has been read. */
  get head(): number {
    return this.#head;
  }

  get ring(): Ring {
    return this.#ring;
  }

  /** The log has come to this position; 0 when that is not known. */
  wake(position: number): void {
    if (position !== 0 && position <= this.#head) return;
    this.#is_woken = true;
    this.#schedule();
  }

  /** What this process has appended and committed; whoever calls this wakes the tail afterwards. */
  offer(frames: Frame[]): void {
    this.#own.add(frames, this.#head, this.#reader.ownLimitBytes());
  }

  stop(): void {
    this.#is_stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  /** It stays open until each has let go, whether or not they listen. */
  attach(): void {
    this.#attached += 1;
    this.idle_since_ms = null;
  }

  detach(): void {
    this.#attached -= 1;
    if (this.#attached === 0) this.idle_since_ms = performance.now();
  }

  /** From now on `listener` gets what matches, beginning after the head. */
  join(listener: Listener, filter: Filter): void {
    this.#audience.add(listener, filter);
  }

  /** The log has come to this position, which another process or its bounds have told, and this tail has not read it yet. */
  wait(waiting: Waiting, position: number): void {
    this.#waiting.set(waiting, { waiting, position });
    this.wake(0);
  }

  leave(leaving: Listener): void {
    this.#audience.delete(leaving);
    this.#waiting.delete(leaving);
  }

  #schedule(): void {
    if (this.#is_stopped || this.#is_reading || this.#timer !== null) return;
    const rest_ms = this.#not_before_ms - performance.now();
    // What was appended here waits a moment: whoever did it has somebody to answer first.
    if (rest_ms <= 0 && this.#own.last_position <= this.#head) {
      void this.#advance();
      return;
    }
    this.#timer = setTimeout(
      () => {
        this.#timer = null;
        void this.#advance();
      },
      Math.max(0, rest_ms),
    );
  }

  async #advance(): Promise<void> {
    this.#is_reading = true;
    this.#is_woken = false;
    try {
      const own = this.#own.take(this.#head);
      const { frames, more } =
        own.length > 0
          ? { frames: own, more: false }
          : await this.#reader.readTail(this.tenant_id, this.#head, this.#head_at, this.#page_size);
      const began_ms = performance.now();
      if (!this.#is_stopped) this.#deliver(frames);
      // What was appended here while it read.
      if (more || this.#own.last_position > this.#head) this.#is_woken = true;
      this.#failures = 0;
      const spent_ms = performance.now() - began_ms;
      const wanted_ms = Math.max(this.#reader.leastRestMs(), spent_ms * rest_factor);
      const rest_ms = more ? 0 : Math.min(max_rest_ms, wanted_ms);
      this.#not_before_ms = performance.now() + rest_ms;
    } catch (error) {
      // Clients stay where they are, and miss nothing: the same is read again.
      this.#failures += 1;
      this.#reader.onTrouble(this.tenant_id, error, this.#failures);
      this.#is_woken = true;
      this.#not_before_ms =
        performance.now() + Math.min(max_retry_ms, first_retry_ms * 2 ** Math.min(this.#failures, 10));
    } finally {
      this.#is_reading = false;
      if (this.#is_woken) this.#schedule();
    }
  }

  #deliver(frames: Frame[]): void {
    const last = frames.at(-1);
    if (last === undefined) return;
    let next = this.#head + 1;
    for (const { position } of frames) {
      if (position !== next) throw new Error(`the log has no position ${next}; ${position} follows`);
      next += 1;
    }
    this.#head = last.position;
    this.#head_at = last.recorded_at;
    this.#ring.add(frames, this.#reader.ringLimitBytes());
    this.#reader.onFrames(this.tenant_id, frames);
    this.#audience.deliver(frames);
    for (const { waiting, position } of [...this.#waiting.values()]) {
      if (position > this.#head) continue;
      this.#waiting.delete(waiting);
      waiting.advance();
    }
  }
}
