// What one client of the log gets: every event after its position that matches its filter, in order. It is no more than a position.
// While it keeps up it hears from the tail; when it falls behind it reads from the ring, and from the database where that does not reach.
import { type Feed, idMessage, type Sink } from '../../stream.ts';
import type { Listener } from './audience.ts';
import type { EventPages } from './event_pages.ts';
import type { Filter } from './filter.ts';
import type { Frame } from './frame.ts';
import type { Tail } from './tail.ts';

/** What is written before it is asked whether the client takes more. */
const chunk_bytes = 64 * 1024;
/** A client that takes nothing for so long gives the page that it reads from back; it goes on from its position. */
const patience_ms = 1_000;
const retry_ms = 500;

export interface EventFeedOptions {
  tail: Tail;
  pages: EventPages;
  filter: Filter;
  after: number;
  /** where the log stood when the client came: it has caught up when it has been told of all before */
  head_position: number;
  sink: Sink;
}

type State = 'live' | 'moving' | 'blocked' | 'closed';

export class EventFeed implements Feed, Listener {
  readonly #tail: Tail;
  readonly #pages: EventPages;
  readonly #filter: Filter;
  readonly #head_position: number;
  readonly #sink: Sink;
  #state: State = 'moving';
  #position: number;
  #was_live = false;
  /** continues what waits for the client */
  #resume: (() => void) | null = null;

  constructor({ tail, pages, filter, after, head_position, sink }: EventFeedOptions) {
    this.#tail = tail;
    this.#pages = pages;
    this.#filter = filter;
    this.#head_position = head_position;
    this.#sink = sink;
    this.#position = after;
    tail.attach();
  }

  get position(): number {
    return this.#state === 'live' ? this.#tail.head : this.#position;
  }

  /** Goes on from its position until it is live, or the client takes no more. */
  advance(): void {
    while (this.#state === 'moving') {
      if (this.#position >= this.#tail.head) {
        const position = Math.max(this.#position, this.#head_position);
        if (position > this.#tail.head) this.#tail.wait(this, position);
        else this.#goLive();
        return;
      }
      if (!this.#tail.ring.reachesBackTo(this.#position)) {
        void this.#catchUp();
        return;
      }
      const { messages, position } = this.#tail.ring.take(this.#position, this.#filter, chunk_bytes);
      this.#position = position;
      if (!this.#write(messages)) this.#state = 'blocked';
    }
  }

  /** The client takes no more before it has got anything. */
  block(): void {
    this.#state = 'blocked';
  }

  /** The first time the client is told: from here on it hears of what happens when it happens. */
  #goLive(): void {
    const takes_more = this.#was_live || this.#sink.write(idMessage(this.#position));
    this.#was_live = true;
    this.#state = takes_more ? 'live' : 'blocked';
    if (takes_more) this.#tail.join(this, this.#filter);
  }

  push(messages: Buffer): void {
    if (this.#sink.write(messages)) return;
    this.#position = this.#tail.head;
    this.#state = 'blocked';
    this.#tail.leave(this);
  }

  resume(): void {
    const resume = this.#resume;
    this.#resume = null;
    if (resume !== null) resume();
    else if (this.#state === 'blocked') {
      this.#state = 'moving';
      this.advance();
    }
  }

  close(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#tail.leave(this);
    this.#tail.detach();
    this.resume();
  }

  #write(messages: Buffer[]): boolean {
    const [first] = messages;
    if (first === undefined) return true;
    return this.#sink.write(messages.length === 1 ? first : Buffer.concat(messages));
  }

  /** By pages of the database, until the ring reaches back far enough. */
  async #catchUp(): Promise<void> {
    const lease = await this.#pages.lease();
    let rest_ms = 0;
    try {
      while (this.#state === 'moving' && !this.#tail.ring.reachesBackTo(this.#position)) {
        const page = await lease.read({
          tenant_id: this.#tail.tenant_id,
          filter: this.#filter,
          after: this.#position,
          up_to: this.#tail.head,
        });
        await this.#send(page.frames);
        if (this.#state === 'moving') this.#position = page.position;
        if (lease.others_wait) break;
      }
    } catch (error) {
      // The stream stays open and goes on from its position.
      this.#pages.onTrouble(this.#tail.tenant_id, error);
      rest_ms = retry_ms;
    } finally {
      lease.release();
    }
    if (rest_ms === 0) this.advance();
    else setTimeout(() => this.advance(), rest_ms);
  }

  /** Piece by piece; stops when the client takes nothing for too long. */
  async #send(frames: Frame[]): Promise<void> {
    for (let at = 0; at < frames.length && this.#state === 'moving'; ) {
      const messages: Buffer[] = [];
      for (let bytes = 0; bytes < chunk_bytes; at += 1) {
        const frame = frames[at];
        if (frame === undefined) break;
        messages.push(frame.bytes);
        bytes += frame.bytes.length;
        this.#position = frame.position;
      }
      if (!this.#write(messages) && !(await this.#patience())) this.#state = 'blocked';
    }
  }

  /** Whether the client takes more before long. */
  #patience(): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#resume = null;
        resolve(false);
      }, patience_ms);
      this.#resume = () => {
        clearTimeout(timer);
        resolve(true);
      };
    });
  }
}
