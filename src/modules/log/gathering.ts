// Gathers what is noted again and again, so that the work for it is done once for many notes: a note costs an entry in a map.

export class Gathering {
  readonly #interval_ms: number;
  readonly #tell: (gathered: Map<string, number>) => void;
  #gathered = new Map<string, number>();
  #timer: NodeJS.Timeout | null = null;

  /** `tell` gets what was noted in an interval, with the largest number of each. */
  constructor(interval_ms: number, tell: (gathered: Map<string, number>) => void) {
    this.#interval_ms = interval_ms;
    this.#tell = tell;
  }

  note(id: string, number: number): void {
    const known = this.#gathered.get(id);
    if (known === undefined || known < number) this.#gathered.set(id, number);
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      const gathered = this.#gathered;
      this.#gathered = new Map();
      this.#tell(gathered);
    }, this.#interval_ms);
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
  }
}
