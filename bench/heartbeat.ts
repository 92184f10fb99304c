// Notices when the machine itself stands still, as virtual machines do that are paused or moved.

/** A round with a longer standstill says nothing about what runs on the machine. */
export const standstill_max_ms = 1_000;
/** Then the round counts as it is: a machine that stands still all the time is what it is. */
export const attempts_max = 10;

/** Beats in this process, which has nothing else to do while another works: a beat that comes late was late for everybody. */
export class Heartbeat {
  #last_ms = performance.now();
  #longest_ms = 0;
  readonly #timer = setInterval(() => this.#beat(), 20);

  #beat(): void {
    const now_ms = performance.now();
    this.#longest_ms = Math.max(this.#longest_ms, now_ms - this.#last_ms);
    this.#last_ms = now_ms;
  }

  /** The longest time between two beats. */
  stop(): number {
    this.#beat();
    clearInterval(this.#timer);
    return this.#longest_ms;
  }
}
