// Streams of a state and not of events: the newest one, as a whole, at most ten times a second, read once for all who follow it.
// A client that is slow gets fewer of them.
import type { Logger } from '../../log.ts';
import { type BeginFeed, type Feed, message, type Sink } from '../../stream.ts';
import type { Listener } from './audience.ts';
import type { Filter } from './filter.ts';
import type { Tail } from './tail.ts';
import type { Tails } from './tails.ts';

/** between two states */
const state_interval_ms = 100;
const retry_ms = 1_000;

export interface TopicState {
  /** of the tenant's log; everything up to here is in the state */
  position: number;
  /** the newest state that this could be: when it is behind that, it is read again; absent means as new as its position */
  expected_position?: number;
  /** JSON text, without the position when the same state at another position is no news */
  state: string;
}

export interface TopicSource {
  tenant_id: string;
  /** the same for the same state of the tenant */
  key: string;
  /** the events that may change it */
  filter: Filter;
  /** when something else may change it: how often it is read without an event */
  refresh_ms?: number;
  read: () => Promise<TopicState>;
}

export class Topics {
  readonly #tails: Tails;
  readonly #logger: Logger;
  readonly #topics = new Map<string, Topic>();

  constructor(tails: Tails, logger: Logger) {
    this.#tails = tails;
    this.#logger = logger;
  }

  /** Begins to follow a state: first as it is, then whenever it has changed. */
  async open(source: TopicSource): Promise<BeginFeed> {
    const bounds = await this.#tails.findBounds(source.tenant_id);
    return (sink) => {
      const name = `${source.tenant_id} ${source.key}`;
      let topic = this.#topics.get(name);
      if (topic === undefined) {
        const tail = this.#tails.open(source.tenant_id, bounds);
        topic = new Topic(source, tail, this.#logger, () => this.#topics.delete(name));
        this.#topics.set(name, topic);
      }
      return topic.follow(sink);
    };
  }
}

class Topic implements Listener {
  readonly #source: TopicSource;
  readonly #tail: Tail;
  readonly #logger: Logger;
  readonly #onEnd: () => void;
  readonly #feeds = new Set<TopicFeed>();
  #state: string | null = null;
  #message: Buffer | null = null;
  #is_changed = true;
  #is_reading = false;
  #timer: NodeJS.Timeout | null = null;
  readonly #refreshing: NodeJS.Timeout | null;
  #read_ms = Number.NEGATIVE_INFINITY;
  #is_failing = false;

  constructor(source: TopicSource, tail: Tail, logger: Logger, onEnd: () => void) {
    this.#source = source;
    this.#tail = tail;
    this.#logger = logger;
    this.#onEnd = onEnd;
    // Before it is read, so that no change falls in between.
    tail.attach();
    tail.join(this, source.filter);
    this.#refreshing =
      source.refresh_ms === undefined ? null : setInterval(() => this.push(), source.refresh_ms);
  }

  follow(sink: Sink): Feed {
    const feed = new TopicFeed(sink, () => this.#leave(feed));
    this.#feeds.add(feed);
    if (this.#message !== null) feed.offer(this.#message);
    this.#schedule();
    return feed;
  }

  push(): void {
    this.#is_changed = true;
    this.#schedule();
  }

  #leave(feed: TopicFeed): void {
    this.#feeds.delete(feed);
    if (this.#feeds.size > 0) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#refreshing !== null) clearInterval(this.#refreshing);
    this.#tail.leave(this);
    this.#tail.detach();
    this.#onEnd();
  }

  #schedule(wait_ms = this.#read_ms + state_interval_ms - performance.now()): void {
    if (!this.#is_changed || this.#is_reading || this.#timer !== null || this.#feeds.size === 0) return;
    this.#timer = setTimeout(
      () => {
        this.#timer = null;
        void this.#read();
      },
      Math.max(0, wait_ms),
    );
  }

  async #read(): Promise<void> {
    this.#is_reading = true;
    this.#is_changed = false;
    this.#read_ms = performance.now();
    let wait_ms: number | undefined;
    try {
      const { position, expected_position = position, state } = await this.#source.read();
      if (position < expected_position) this.#is_changed = true;
      if (state !== this.#state) this.#tell(position, state);
      this.#is_failing = false;
    } catch (error) {
      // Who follows keeps what was sent, and gets the newest when it can be read.
      const line = {
        tenant_id: this.#source.tenant_id,
        error: { message: error instanceof Error ? error.message : String(error) },
      };
      if (!this.#is_failing) this.#logger.warn(line, 'the state of a stream could not be read');
      this.#is_failing = true;
      this.#is_changed = true;
      wait_ms = retry_ms;
    } finally {
      this.#is_reading = false;
      this.#schedule(wait_ms);
    }
  }

  #tell(position: number, state: string): void {
    this.#state = state;
    const next = message(position, `{"position":${position},${state.slice(1)}`);
    this.#message = next;
    for (const feed of this.#feeds) feed.offer(next);
  }
}

/** Remembers nothing but what it has not sent yet, and of that only the newest. */
class TopicFeed implements Feed {
  readonly position = null;
  readonly #sink: Sink;
  readonly close: () => void;
  #is_blocked = false;
  #unsent: Buffer | null = null;

  constructor(sink: Sink, close: () => void) {
    this.#sink = sink;
    this.close = close;
  }

  offer(state: Buffer): void {
    if (this.#is_blocked) this.#unsent = state;
    else if (!this.#sink.write(state)) this.#is_blocked = true;
  }

  resume(): void {
    this.#is_blocked = false;
    const state = this.#unsent;
    this.#unsent = null;
    if (state !== null) this.offer(state);
  }
}
