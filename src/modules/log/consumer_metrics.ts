// What the consumers of this process do, by consumer and never by tenant: labels are bounded, and a metric names nobody.
import { Counter, Histogram, type Registry } from 'prom-client';

export class ConsumerMetrics {
  readonly #applied: Counter<'consumer'>;
  readonly #failed: Counter<'consumer'>;
  readonly #slice_seconds: Histogram<'consumer'>;

  constructor(registry: Registry, names: string[]) {
    const registers = [registry];
    const labelNames = ['consumer'] as const;
    this.#applied = new Counter({
      name: 'lattice_consumer_positions_total',
      help: 'Positions applied',
      labelNames,
      registers,
    });
    this.#failed = new Counter({
      name: 'lattice_consumer_failures_total',
      help: 'Slices that failed',
      labelNames,
      registers,
    });
    this.#slice_seconds = new Histogram({
      name: 'lattice_consumer_slice_seconds',
      help: 'Duration of one slice',
      labelNames,
      buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30],
      registers,
    });
    // Of a series that begins at 1, nobody sees that it has risen.
    for (const consumer of names) {
      this.#applied.inc({ consumer }, 0);
      this.#failed.inc({ consumer }, 0);
    }
  }

  applied(consumer: string, positions: number, took_ms: number): void {
    this.#applied.inc({ consumer }, positions);
    this.#slice_seconds.observe({ consumer }, took_ms / 1_000);
  }

  failed(consumer: string): void {
    this.#failed.inc({ consumer });
  }
}
