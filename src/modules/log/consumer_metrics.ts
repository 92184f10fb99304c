// What the consumers of this process do, by consumer and never by tenant: labels are bounded, and a metric names nobody.
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { Consumer } from '../../consumer.ts';

/** What is read of a pair of consumer and tenant. */
interface Followed {
  consumer: Consumer;
  position: number | null;
  head_position: number;
  behind_since_ms: number | null;
  is_parked: boolean;
}

export class ConsumerMetrics {
  readonly #applied: Counter<'consumer'>;
  readonly #failed: Counter<'consumer'>;
  readonly #slice_seconds: Histogram<'consumer'>;
  #followed: () => Iterable<Followed> = () => [];

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
    const gauge = (name: string, help: string, read: (followed: Followed[]) => number) => {
      const of = (consumer: string) =>
        [...this.#followed()].filter((each) => each.consumer.name === consumer);
      new Gauge({
        name,
        help,
        labelNames,
        registers,
        collect() {
          for (const consumer of names) this.set({ consumer }, read(of(consumer)));
        },
      });
    };
    gauge(
      'lattice_consumer_lag_events',
      'Events still to be applied in the tenant that lags most, as this process sees it',
      (followed) =>
        most(followed.map(({ position, head_position }) => head_position - (position ?? head_position))),
    );
    gauge(
      'lattice_consumer_lag_seconds',
      'Since when the tenant that lags longest has not been caught up, as this process sees it',
      (followed) =>
        most(
          followed.map(({ behind_since_ms }) =>
            behind_since_ms === null ? 0 : (performance.now() - behind_since_ms) / 1_000,
          ),
        ),
    );
    gauge(
      'lattice_consumer_parked_tenants',
      'Tenants in which the consumer is parked and waits to be resumed; above 0 is an alarm',
      (followed) => followed.filter(({ is_parked }) => is_parked).length,
    );
  }

  /** Where the present state is read when somebody asks. */
  observe(followed: () => Iterable<Followed>): void {
    this.#followed = followed;
  }

  applied(consumer: string, positions: number, took_ms: number): void {
    this.#applied.inc({ consumer }, positions);
    this.#slice_seconds.observe({ consumer }, took_ms / 1_000);
  }

  failed(consumer: string): void {
    this.#failed.inc({ consumer });
  }
}

function most(values: number[]): number {
  return values.reduce((largest, value) => Math.max(largest, value), 0);
}
