// The newest events of a tenant in memory, bounded by what they weigh: whoever is a little behind need not ask the database.
import { type Filter, matches } from './filter.ts';
import type { Frame } from './frame.ts';

export class Ring {
  #frames: (Frame | null)[] = [];
  /** those before this one are dropped; their places are taken off the array now and then */
  #start = 0;
  #weight_bytes = 0;

  get weight_bytes(): number {
    return this.#weight_bytes;
  }

  /** Whether it has everything after this position. */
  reachesBackTo(position: number): boolean {
    const first = this.#frames[this.#start];
    return first != null && first.position <= position + 1;
  }

  /** Adds what follows, and drops the oldest beyond the limit. */
  add(frames: Frame[], limit_bytes: number): void {
    for (const frame of frames) {
      this.#frames.push(frame);
      this.#weight_bytes += frame.weight_bytes;
    }
    while (this.#weight_bytes > limit_bytes) {
      const oldest = this.#frames[this.#start];
      if (oldest == null) break;
      this.#weight_bytes -= oldest.weight_bytes;
      // Let go at once: what is kept until the places go grows old, and is collected with all that is old.
      this.#frames[this.#start] = null;
      this.#start += 1;
    }
    if (this.#start > this.#frames.length / 2) {
      this.#frames = this.#frames.slice(this.#start);
      this.#start = 0;
    }
  }

  /** What matches after a position, until it is about `max_bytes`; and how far that reaches. To be asked for what it has. */
  take(after: number, filter: Filter, max_bytes: number): { messages: Buffer[]; position: number } {
    const first = this.#frames[this.#start];
    const messages: Buffer[] = [];
    if (first == null) return { messages, position: after };
    let position = after;
    let bytes = 0;
    // Positions are dense, so a position is a place.
    for (let at = this.#start + (after + 1 - first.position); bytes < max_bytes; at += 1) {
      const frame = this.#frames[at];
      if (frame == null) break;
      position = frame.position;
      if (!matches(filter, frame)) continue;
      messages.push(frame.bytes);
      bytes += frame.bytes.length;
    }
    return { messages, position };
  }
}
