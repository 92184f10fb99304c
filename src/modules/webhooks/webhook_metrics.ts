// What the calls of this process come to, never by tenant or endpoint: labels are bounded, and a metric names nobody.
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** why an endpoint is not called any more */
const disabled_reasons = ['gone', 'failing'] as const;
export type DisabledReason = (typeof disabled_reasons)[number];

export class WebhookMetrics {
  readonly #attempts: Counter<'outcome'>;
  readonly #disabled: Counter<'reason'>;
  readonly #delay_seconds: Histogram;
  #open: () => { calling: number; waiting: number } = () => ({ calling: 0, waiting: 0 });

  constructor(registry: Registry) {
    const registers = [registry];
    this.#attempts = new Counter({
      name: 'lattice_webhook_attempts_total',
      help: 'Calls of webhook endpoints, by outcome: succeeded, or why not',
      labelNames: ['outcome'],
      registers,
    });
    this.#disabled = new Counter({
      name: 'lattice_webhook_endpoints_disabled_total',
      help: 'Webhook endpoints that were disabled because they are gone or kept failing; their owner should be told',
      labelNames: ['reason'],
      registers,
    });
    // Of a series that begins at 1, nobody sees that it has risen.
    for (const reason of disabled_reasons) this.#disabled.inc({ reason }, 0);
    this.#delay_seconds = new Histogram({
      name: 'lattice_webhook_delay_seconds',
      help: 'From the event to the answer of the call that succeeded, for those that succeeded at the first attempt',
      buckets: [0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60],
      registers,
    });
    const read = () => this.#open();
    for (const [name, help, key] of [
      ['lattice_webhook_calls_open', 'Calls that wait for their answer', 'calling'],
      ['lattice_webhook_calls_waiting', 'Deliveries that this process has taken and not begun', 'waiting'],
    ] as const) {
      new Gauge({
        name,
        help,
        registers,
        collect() {
          this.set(read()[key]);
        },
      });
    }
  }

  /** Where the present state is read when somebody asks. */
  observe(open: () => { calling: number; waiting: number }): void {
    this.#open = open;
  }

  attempted(fault: string | null): void {
    this.#attempts.inc({ outcome: fault ?? 'succeeded' });
  }

  delivered(delay_seconds: number): void {
    this.#delay_seconds.observe(delay_seconds);
  }

  disabled(reason: DisabledReason): void {
    this.#disabled.inc({ reason });
  }
}
