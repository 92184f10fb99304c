// What this process has appended to a tenant's log and its tail has not come to: an unbroken run of positions. Whatever does not go on where
// the run ends begins another, and what lies in between is read from the log.
import type { Frame } from './frame.ts';

export class OwnFrames {
  #frames: Frame[] = [];
  #weight_bytes = 0;

  /** 0 when there are none */
  get last_position(): number {
    return this.#frames.at(-1)?.position ?? 0;
  }

  /** Adds what follows; forgets all of it beyond the limit, as the tail is then far behind and reads in larger pieces. */
  add(frames: Frame[], head: number, limit_bytes: number): void {
    const [first] = frames;
    const last = frames.at(-1);
    if (first === undefined || last === undefined || last.position <= head) return;
    if (first.position !== this.last_position + 1) this.#clear();
    for (const frame of frames) {
      this.#frames.push(frame);
      this.#weight_bytes += frame.weight_bytes;
    }
    if (this.#weight_bytes > limit_bytes) this.#clear();
  }

  /** What follows a position; nothing when that is not where the run goes on. */
  take(after: number): Frame[] {
    const [first] = this.#frames;
    if (first === undefined || first.position > after + 1) return [];
    // Positions are dense, so a position is a place.
    const following = this.#frames.slice(after + 1 - first.position);
    this.#clear();
    return following;
  }

  #clear(): void {
    this.#frames = [];
    this.#weight_bytes = 0;
  }
}
