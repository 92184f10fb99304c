// How many slices are begun. Each costs the database about a millisecond before its first position, whatever it applies, and most of the rest for
// each account that it touches, however often: so when many wait for their turn they come less often, and do more at once.

/** Between two slices, on average: twenty tenants that are busy, with two consumers each, are followed within a second … */
const max_interval_ms = 25;
/** … unless so many wait that the last of them would wait longer than this … */
const max_wait_ms = 700;
/** … for which at most half a processor is spent. */
const min_interval_ms = 2;
/** What was not begun for this long may be begun at once. */
const burst_ms = 500;

export class Pace {
  #next_ms = Number.NEGATIVE_INFINITY;

  /** 0: one of those that wait may begin; otherwise how long until then. */
  take(waiting: number): number {
    const now_ms = performance.now();
    this.#next_ms = Math.max(this.#next_ms, now_ms - burst_ms);
    if (this.#next_ms > now_ms) return this.#next_ms - now_ms;
    this.#next_ms += Math.max(min_interval_ms, Math.min(max_interval_ms, max_wait_ms / waiting));
    return 0;
  }
}
