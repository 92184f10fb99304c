// How many events to ask for so that they are about so many bytes: an event has from half a kilobyte to a few hundred, and memory is
// bytes and not rows.
import type { EventRow } from './events.ts';

const page_bytes = 512 * 1024;
/** of an event beside its data */
const head_bytes = 300;
const first_rows = 50;
const max_rows = 1_000;

export class PageSize {
  #rows = first_rows;

  get rows(): number {
    return this.#rows;
  }

  /** What a page came to; the next one is at most twice as long. */
  learn(rows: EventRow[]): void {
    if (rows.length === 0) return;
    const bytes = rows.reduce((sum, { data }) => sum + head_bytes + data.length, 0);
    const wanted = Math.floor((page_bytes * rows.length) / bytes);
    this.#rows = Math.max(1, Math.min(wanted, 2 * this.#rows, max_rows));
  }
}
