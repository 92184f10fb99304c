// What the rebuilds of this process do, by projection and never by tenant.
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

export class RebuildMetrics {
  readonly #slice_seconds: Histogram<'projection'>;
  readonly #differences: Counter<'projection'>;
  #running: () => number = () => 0;

  constructor(registry: Registry, projections: string[]) {
    const registers = [registry];
    const labelNames = ['projection'] as const;
    this.#slice_seconds = new Histogram({
      name: 'lattice_rebuild_slice_seconds',
      help: 'Duration of one slice of a rebuild',
      labelNames,
      buckets: [0.01, 0.05, 0.1, 0.5, 1, 2.5, 10, 30],
      registers,
    });
    this.#differences = new Counter({
      name: 'lattice_rebuild_differences_total',
      help: 'Rows in which a projection differed from the version built beside it; above 0 is an alarm',
      labelNames,
      registers,
    });
    // Of a series that begins at 1, nobody sees that it has risen.
    for (const projection of projections) this.#differences.inc({ projection }, 0);
    const read = () => this.#running();
    new Gauge({
      name: 'lattice_rebuilds_running',
      help: 'Rebuilds that this process carries forward',
      registers,
      collect() {
        this.set(read());
      },
    });
  }

  /** Where the present number is read when somebody asks. */
  observe(running: () => number): void {
    this.#running = running;
  }

  applied(projection: string, took_ms: number): void {
    this.#slice_seconds.observe({ projection }, took_ms / 1_000);
  }

  differed(projection: string, rows: number): void {
    this.#differences.inc({ projection }, rows);
  }
}
