// Chance that can be played again: `FC_SEED=… npm run faults`. The seed stands in the name of each test that rolls dice.

/** of this run */
export const seed =
  process.env.FC_SEED === undefined ? Date.now() % 1_000_000_000 : Number(process.env.FC_SEED);

/** mulberry32 */
export class Dice {
  #state: number;

  /** The same seed and name roll the same numbers. */
  constructor(name: string) {
    this.#state = seed;
    for (const letter of name) this.#state = Math.imul(this.#state ^ letter.charCodeAt(0), 0x9e3779b1);
  }

  /** 0 up to, and without, 1 */
  fraction(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }

  /** A whole number, both ends included. */
  between(least: number, most: number): number {
    return least + Math.floor(this.fraction() * (most - least + 1));
  }
}
