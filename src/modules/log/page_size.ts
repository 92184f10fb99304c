// How many events to ask for so that they are about so many bytes: an event has from half a kilobyte to a few hundred, and memory is
// bytes and not rows. The number is learnt from the pages before; that large events follow small ones nobody knows beforehand, so Postgres
// ends a page that has come to its bytes.
import type { EventRow } from './events.ts';

/** of the data of a page, but for its last event */
export const page_bytes = 512 * 1024;
/** of an event beside its data */
const head_bytes = 300;
const first_rows = 50;
const max_rows = 1_000;
/** The most bytes of UTF-8 that a unit of UTF-16 takes. */
const max_unit_bytes = 3;

export class PageSize {
  #rows = first_rows;

  get rows(): number {
    return this.#rows;
  }

  /** What a page came to; the next one is at most twice as long. */
  learn(rows: EventRow[]): void {
    if (rows.length === 0) return;
    const wanted = Math.floor((page_bytes * rows.length) / (head_bytes * rows.length + lengthOf(rows)));
    this.#rows = Math.max(1, Math.min(wanted, 2 * this.#rows, max_rows));
  }
}

/** Whether there may be more than these, of which at most `row_limit` were asked for. Never says no when Postgres has ended the page. */
export function mayBeCut(rows: EventRow[], row_limit: number, max_bytes = page_bytes): boolean {
  return rows.length === row_limit || mayBeFull(rows, max_bytes);
}

/** Whether their data may have come to so many bytes. Never says no when they have. */
export function mayBeFull(rows: EventRow[], max_bytes = page_bytes): boolean {
  return max_unit_bytes * lengthOf(rows) >= max_bytes;
}

function lengthOf(rows: EventRow[]): number {
  return rows.reduce((sum, { data }) => sum + data.length, 0);
}
