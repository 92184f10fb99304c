// How far behind the log its consumers are while something else works: their positions are noted again and again, and what that means in
// time is reckoned afterwards, so that watching costs what is watched next to nothing.
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { queries, system_actor_id } from '../src/db.ts';
import { type Histogram, newHistogram, record } from './histogram.ts';
import type { Stack, Tenant } from './stack.ts';

const sql = queries(import.meta.url, 'position_list', 'instant_list');

const sample_interval_ms = 20;
const SampleSchema = z.object({ name: z.string(), position: z.int(), at: z.string() });
type Sample = z.infer<typeof SampleSchema>;
const InstantSchema = z.object({ position: z.int(), recorded_at: z.string() });

export interface Lag {
  /** microseconds: the age of the first event that was not applied yet, or 0, over the samples */
  histogram: Histogram;
  /** over the samples of the first and of the second half; bounded when the two are alike */
  worst_ms: [number, number];
  /** when the last event was recorded */
  at_end_ms: number;
  /** from then until everything was applied */
  caught_up_ms: number;
}

/**
 * Watches all consumers of a tenant during `work`, which ends when they have caught up, and answers for each how far behind it was in the
 * `seconds` before the last event was recorded.
 */
export async function watchLag<Done>(
  stack: Stack,
  tenant: Tenant,
  seconds: number,
  work: () => Promise<Done>,
): Promise<{ done: Done; lags: Map<string, Lag> }> {
  const actor = { tenant_id: tenant.id, actor_id: system_actor_id, request_id: 'req_bench' };
  const samples: Sample[] = [];
  let is_over = false;
  const sampling = (async () => {
    while (!is_over) {
      samples.push(
        ...(await stack.database.read(actor, (tx) =>
          tx.many(sql.position_list, { tenant_id: tenant.id }, SampleSchema),
        )),
      );
      await delay(sample_interval_ms);
    }
  })();
  const done = await work().finally(() => {
    is_over = true;
  });
  await sampling;
  const positions = [...new Set(samples.map(({ position }) => position + 1))];
  const instants = await stack.database.read(actor, (tx) =>
    tx.many(sql.instant_list, { tenant_id: tenant.id, positions }, InstantSchema),
  );
  const recorded_ms = new Map(
    instants.map(({ position, recorded_at }) => [position, Date.parse(recorded_at)]),
  );
  const head = instants.at(-1);
  if (head === undefined) throw new Error('a log that was posted to has events');
  const end_ms = Date.parse(head.recorded_at);
  const seen = samples.map(({ name, position, at }) => {
    const at_ms = Date.parse(at);
    const lag_ms = Math.max(0, at_ms - (recorded_ms.get(position + 1) ?? at_ms));
    return { name, at_ms, lag_ms, has_caught_up: position >= head.position };
  });
  const begin_ms = end_ms - seconds * 1_000;
  const lags = new Map<string, Lag>();
  for (const [name, its] of Map.groupBy(seen, (each) => each.name)) {
    const measured = its.filter(({ at_ms }) => at_ms >= begin_ms && at_ms <= end_ms);
    const histogram = newHistogram();
    for (const { lag_ms } of measured) record(histogram, lag_ms * 1_000);
    const half_ms = (begin_ms + end_ms) / 2;
    const worst = (some: typeof its) => Math.max(...some.map(({ lag_ms }) => lag_ms));
    lags.set(name, {
      histogram,
      worst_ms: [
        worst(measured.filter(({ at_ms }) => at_ms < half_ms)),
        worst(measured.filter(({ at_ms }) => at_ms >= half_ms)),
      ],
      at_end_ms: measured.at(-1)?.lag_ms ?? 0,
      caught_up_ms: (its.find(({ has_caught_up }) => has_caught_up)?.at_ms ?? Number.NaN) - end_ms,
    });
  }
  return { done, lags };
}
