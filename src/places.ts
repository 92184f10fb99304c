// So many at once; the others wait in line, and whoever finds the line too long is told so.
import { Problem } from './errors.ts';

export class Places {
  #free: number;
  readonly #max_waiting: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number, max_waiting: number) {
    this.#free = count;
    this.#max_waiting = max_waiting;
  }

  /** Errors: `unavailable`. */
  async hold<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#free > 0) this.#free -= 1;
    else await this.#wait();
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }

  async #wait(): Promise<void> {
    if (this.#waiting.length >= this.#max_waiting) {
      const headers = { 'Retry-After': '5' };
      throw new Problem('unavailable', 'Too much of this kind is under way; try again later', { headers });
    }
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}
