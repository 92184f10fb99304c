// Orders for all tenants: what they begin, how they go, and giving them up. One transaction is one tenant, so each does in every tenant what
// is done in one, and does nothing there the second time.
import { z } from 'zod';
import { type Database, platform_tenant_id, queries, systemActor, type Tx } from '../../db.ts';
import { Problem } from '../../errors.ts';
import { decodeId, encodeId } from '../../id.ts';
import { projections } from './manifest.ts';
import { findProjection, type Projection } from './projection.ts';
import type {
  AllCancellationSchema,
  NewRebuildSchema,
  RebuildOrderSchema,
  RebuildProgressSchema,
} from './rebuild_schema.ts';
import type { Rebuilder } from './rebuilder.ts';
import { maybeCancelRebuild, type Outcome, RunningSchema, startRebuilds } from './rebuilds.ts';

const sql = queries(
  import.meta.url,
  'rebuild_order_count',
  'rebuild_order_clock',
  'rebuild_order_list_running',
);

const tenants_per_page = 1_000;

export interface RebuildOrdersOptions {
  database: Database;
  rebuilder: Rebuilder;
  listTenants: (page: { after: string | null; row_limit: number }) => Promise<string[]>;
}

type Order = z.infer<typeof RebuildOrderSchema>;
type Progress = z.infer<typeof RebuildProgressSchema>;

const ClockSchema = z.object({ canceled_at: z.string() });

const CountSchema = z.object({
  projection: z.string(),
  running: z.number(),
  swapped: z.number(),
  canceled: z.number(),
  failed: z.number(),
  positions_done: z.number(),
  positions_to_do: z.number(),
  difference_count: z.number(),
});

export class RebuildOrders {
  readonly #options: RebuildOrdersOptions;
  /** when projections were last canceled here for all tenants: what is still being begun for them ends */
  readonly #canceled_ms = new Map<string, number>();

  constructor(options: RebuildOrdersOptions) {
    this.#options = options;
  }

  /**
   * Begins all of an order in a tenant, or nothing of it; nothing is begun twice. So it may come before the answer is stored: whoever repeats a request
   * whose answer was lost finds its rebuilds begun. Errors: `rebuild_running`, `version_not_kept`.
   */
  async start(tenant_id: string, order: Order): Promise<void> {
    await this.#begin(tenant_id, namedIn(order.projections), order, ({ projection, outcome }) => {
      const { name } = projection;
      if (outcome === 'running') throw new Problem('rebuild_running', `${name} is being rebuilt`);
      if (outcome === 'not_kept') throw new Problem('version_not_kept', `No version of ${name} is kept`);
    });
    this.#options.rebuilder.wake(tenant_id);
  }

  /** In each tenant, but for what is being rebuilt already or has no version to go on with. */
  async startAll(order: Order): Promise<void> {
    const began_ms = performance.now();
    for await (const tenant_ids of this.#tenants()) {
      for (const tenant_id of tenant_ids) {
        for (const projection of namedIn(order.projections)) {
          if ((this.#canceled_ms.get(projection.name) ?? 0) > began_ms) continue;
          await this.#begin(tenant_id, [projection], order, () => {});
        }
        this.#options.rebuilder.wake(tenant_id);
      }
    }
  }

  async #begin(
    tenant_id: string,
    named: Projection[],
    { id, from, stops_on_difference }: Order,
    judge: (outcome: Outcome) => void,
  ): Promise<void> {
    const order = {
      order_id: decodeId('rebuild', id, '#/id'),
      from_kept: from === 'kept',
      stops_on_difference,
    };
    await this.#options.database.transaction(systemActor(tenant_id), async (tx) => {
      for (const outcome of await startRebuilds(tx, named, order)) judge(outcome);
    });
  }

  /** Over all tenants, of the newest rebuild in each (of this order, if given). Projections in their order; those never rebuilt have zeros. */
  async count(named: Projection[], order_id: string | null): Promise<Progress[]> {
    const { database } = this.#options;
    const names = named.map(({ name }) => name);
    const sums = new Map(names.map((projection) => [projection, noneOf(projection)]));
    for await (const tenant_ids of this.#tenants()) {
      const values = { tenant_ids, projections: names, order_id };
      for (const found of await database.call(sql.rebuild_order_count, values, CountSchema)) {
        const sum = sums.get(found.projection) ?? noneOf(found.projection);
        sums.set(found.projection, added(sum, found));
      }
    }
    return [...sums.values()].map((sum) => ({
      ...sum,
      progress: sum.positions_to_do === 0 ? 1 : sum.positions_done / sum.positions_to_do,
    }));
  }

  /** What is to be given up: the rebuilds that run by now. Errors: `rebuild_not_running`. */
  async cancellation(tx: Tx, named: Projection[]): Promise<z.infer<typeof AllCancellationSchema>> {
    const running_count = (await this.count(named, null)).reduce((sum, { running }) => sum + running, 0);
    if (running_count === 0) throw new Problem('rebuild_not_running', 'Nothing is being rebuilt');
    const { canceled_at } = await tx.one(sql.rebuild_order_clock, {}, ClockSchema);
    return { projections: named.map(({ name }) => name), running_count, canceled_at, status: 'canceled' };
  }

  /** Rebuilds that have begun since go on. */
  async cancelAll({ projections: names, canceled_at }: z.infer<typeof AllCancellationSchema>): Promise<void> {
    const { database } = this.#options;
    for (const name of names) this.#canceled_ms.set(name, performance.now());
    for await (const tenant_ids of this.#tenants()) {
      const values = { tenant_ids, projections: names, canceled_at };
      const running = await database.call(sql.rebuild_order_list_running, values, RunningSchema);
      for (const { tenant_id, projection, number, version } of running) {
        const found = findProjection(projections, projection, '#/projection');
        await database.transaction(systemActor(tenant_id), (tx) =>
          maybeCancelRebuild(tx, { projection: found, number, version }),
        );
      }
    }
  }

  /** The platform's own log first. */
  async *#tenants(): AsyncGenerator<string[]> {
    yield [platform_tenant_id];
    for (let after: string | null = null; ; ) {
      const page = await this.#options.listTenants({ after, row_limit: tenants_per_page });
      const last = page.at(-1);
      if (last === undefined) return;
      yield page;
      if (page.length < tenants_per_page) return;
      after = last;
    }
  }
}

/** All when absent. Errors: `not_found`. */
export function namedIn(names: string[] | undefined): Projection[] {
  if (names === undefined) return projections;
  return [...new Set(names)].map((name, index) =>
    findProjection(projections, name, `#/projections/${index}`),
  );
}

/** `order_id` is a uuid. */
export function orderOf(
  order_id: string,
  named: Projection[],
  { from, stops_on_difference }: z.infer<typeof NewRebuildSchema>,
): Order {
  return {
    id: encodeId('rebuild', order_id),
    projections: named.map(({ name }) => name),
    from,
    stops_on_difference,
    status: 'running',
  };
}

type Count = z.infer<typeof CountSchema>;

function noneOf(projection: string): Count {
  const none = { running: 0, swapped: 0, canceled: 0, failed: 0 };
  return { projection, ...none, positions_done: 0, positions_to_do: 0, difference_count: 0 };
}

function added(one: Count, other: Count): Count {
  return {
    projection: one.projection,
    running: one.running + other.running,
    swapped: one.swapped + other.swapped,
    canceled: one.canceled + other.canceled,
    failed: one.failed + other.failed,
    positions_done: one.positions_done + other.positions_done,
    positions_to_do: one.positions_to_do + other.positions_to_do,
    difference_count: one.difference_count + other.difference_count,
  };
}
