// What is measured of the group commit.
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

export class PostingMetrics {
  readonly batch_size: Histogram;
  readonly posted: Counter<'outcome'>;

  constructor(metrics: Registry, waiting: () => number) {
    this.batch_size = new Histogram({
      name: 'lattice_posting_batch_commands',
      help: 'Commands per group commit',
      buckets: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 10_000],
      registers: [metrics],
    });
    this.posted = new Counter({
      name: 'lattice_posting_commands_total',
      help: 'Commands by what became of them',
      labelNames: ['outcome'],
      registers: [metrics],
    });
    new Gauge({
      name: 'lattice_posting_commands_waiting',
      help: 'Commands waiting for their batch',
      registers: [metrics],
      collect() {
        this.set(waiting());
      },
    });
  }
}
