// How far each consumer is behind in the tenant that is worst off, from what the database says: so every process tells it, whether it follows
// or not, and tells the same after a restart, of what is parked and of what nobody follows. By consumer and never by tenant.
//
// Read when somebody asks. Of all tenants only the first time; after that of those that were behind, of those whose logs have grown since, and
// of some of the others in turn.
import { Gauge, type Registry } from 'prom-client';
import { z } from 'zod';
import type { Consumer } from '../../consumer.ts';
import { type Database, platform_tenant_id, queries } from '../../db.ts';
import type { Logger } from '../../log.ts';
import type { ListTenants } from './known_tenants.ts';
import type { Wakes } from './wakes.ts';

const sql = queries(import.meta.url, 'consumer_list_lags');

/** of those of which nothing was heard */
const tenants_per_turn = 500;
const tenants_per_statement = 1_000;
/** Two that ask at once are told the same … */
const least_rest_ms = 1_000;
/** … and of the time, at most one part in so many is spent on reading, as long as nobody is told what is older than this. */
const rest_factor = 10;
const max_rest_ms = 15_000;

const LagSchema = z.object({
  tenant_id: z.string(),
  name: z.string(),
  lag_events: z.number(),
  lag_seconds: z.number(),
  is_parked: z.boolean(),
});
type Lag = z.infer<typeof LagSchema>;

const told = {
  lag_events: {
    help: 'Events still to be applied in the tenant that lags most',
    of: (lags: Lag[]) => most(lags.map(({ lag_events }) => lag_events)),
  },
  lag_seconds: {
    help: 'Age of the first event that has not been applied, in the tenant in which it is oldest; above 60 is an alarm',
    of: (lags: Lag[]) => most(lags.map(({ lag_seconds }) => lag_seconds)),
  },
  parked_tenants: {
    help: 'Tenants in which the consumer is parked and waits to be resumed; above 0 is an alarm',
    of: (lags: Lag[]) => lags.filter(({ is_parked }) => is_parked).length,
  },
};

export interface ConsumerLagOptions {
  database: Database;
  logger: Logger;
  metrics: Registry;
  wakes: Wakes;
  consumers: () => Consumer[];
  listTenants: ListTenants;
}

export class ConsumerLag {
  readonly #options: ConsumerLagOptions;
  /** of the tenants in which some consumer was behind or parked when they were last looked at */
  readonly #behind = new Map<string, Lag[]>();
  /** whose logs have grown since */
  #grown = new Set<string>();
  /** not all is known, or word of another process was lost */
  #looks_at_all = true;
  #next_turn_after: string | null = null;
  #reading: Promise<boolean> | null = null;
  #has_read = false;
  #rests_until_ms = 0;
  #stopListening: (() => void)[] = [];

  constructor(options: ConsumerLagOptions) {
    this.#options = options;
    const read = () => this.#read();
    const lagsOf = (consumer: string) =>
      [...this.#behind.values()].flatMap((lags) => lags.filter(({ name }) => name === consumer));
    for (const [name, { help, of }] of Object.entries(told)) {
      new Gauge({
        name: `lattice_consumer_${name}`,
        help,
        labelNames: ['consumer'],
        registers: [options.metrics],
        async collect() {
          if (!(await read())) return;
          for (const consumer of options.consumers()) {
            this.set({ consumer: consumer.name }, of(lagsOf(consumer.name)));
          }
        },
      });
    }
  }

  start(): void {
    const { database, wakes } = this.#options;
    this.#stopListening = [
      database.onAppend((tenant_id) => this.#grown.add(tenant_id)),
      wakes.onResync(() => {
        this.#looks_at_all = true;
      }),
    ];
  }

  stop(): void {
    for (const stop of this.#stopListening) stop();
  }

  /** All gauges of one scrape share one look. Answers whether there is something to tell. */
  async #read(): Promise<boolean> {
    if (performance.now() < this.#rests_until_ms) return this.#has_read;
    this.#reading ??= this.#look()
      .then(
        () => {
          this.#has_read = true;
          return true;
        },
        (error: unknown) => {
          this.#looks_at_all = true;
          this.#options.logger.debug({ err: error }, 'the lag of consumers could not be read');
          return false;
        },
      )
      .finally(() => {
        this.#reading = null;
      });
    return this.#reading;
  }

  async #look(): Promise<void> {
    const { database, consumers } = this.#options;
    const began_ms = performance.now();
    const names = consumers().map(({ name }) => name);
    const grown = this.#grown;
    this.#grown = new Set();
    const others = await this.#takeTurn();
    const due = [...new Set([platform_tenant_id, ...this.#behind.keys(), ...grown, ...others])];
    for (let at = 0; at < due.length; at += tenants_per_statement) {
      const tenant_ids = due.slice(at, at + tenants_per_statement);
      const values = { tenant_ids, consumers: names };
      const lags = await database.call(sql.consumer_list_lags, values, LagSchema);
      for (const id of tenant_ids) this.#behind.delete(id);
      for (const [id, its] of Map.groupBy(lags, ({ tenant_id }) => tenant_id)) this.#behind.set(id, its);
    }
    const now_ms = performance.now();
    const rest_ms = Math.min(max_rest_ms, Math.max(least_rest_ms, rest_factor * (now_ms - began_ms)));
    this.#rests_until_ms = now_ms + rest_ms;
  }

  /** The next tenants in their order, heard of or not; or all. */
  async #takeTurn(): Promise<string[]> {
    const is_all = this.#looks_at_all;
    this.#looks_at_all = false;
    if (is_all) this.#next_turn_after = null;
    const found: string[] = [];
    do {
      const page = await this.#options.listTenants({
        after: this.#next_turn_after,
        row_limit: tenants_per_turn,
      });
      found.push(...page);
      this.#next_turn_after = page.length < tenants_per_turn ? null : (page.at(-1) ?? null);
    } while (is_all && this.#next_turn_after !== null);
    return found;
  }
}

function most(values: number[]): number {
  return values.reduce((largest, value) => Math.max(largest, value), 0);
}
