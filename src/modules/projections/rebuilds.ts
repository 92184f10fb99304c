// Rebuilds: a projection is built again beside the one that is read, compared with it, and takes its place in one transaction.
// The consumer `<name>` reads and writes the version that is read, `<name>:rebuild` the one beside it; a swap exchanges the two.
import { z } from 'zod';
import { type Database, queries, type Tx } from '../../db.ts';
import { appendEvent } from '../log/index.ts';
import { projections } from './manifest.ts';
import type { Projection } from './projection.ts';

const sql = queries(
  import.meta.url,
  'rebuild_start',
  'rebuild_list_running',
  'projection_state_list',
  'rebuild_hold',
  'rebuild_lock',
  'rebuild_positions',
  'rebuild_differing_rows',
  'rebuild_compared',
  'rebuild_wait_for_disk',
  'rebuild_end',
);

/** differences of a rebuild that are kept, of each table */
const kept_differences = 5;

/** One rebuild of one projection of the transaction's tenant. */
export interface Rebuild {
  projection: Projection;
  number: number;
  /** that it builds */
  version: number;
}

const StartedSchema = z.object({
  /** `ordered`: by the same order, before · `running`: another order's · `not_kept`: no version that it could go on with */
  outcome: z.enum(['started', 'ordered', 'running', 'not_kept']),
  number: z.number().nullable(),
  version: z.number().nullable(),
  from_position: z.number().nullable(),
});

/** What became of an order for one projection. */
export interface Outcome {
  projection: Projection;
  outcome: z.infer<typeof StartedSchema>['outcome'];
}

/**
 * Begins what it can of an order in the transaction's tenant; what the order has begun before is not begun again.
 * Locks: the consumers' rows, always in the order of the manifest, and then the tenant's.
 */
export async function startRebuilds(
  tx: Tx,
  named: Projection[],
  order: { order_id: string; from_kept: boolean; stops_on_difference: boolean },
): Promise<Outcome[]> {
  const { tenant_id } = tx.actor;
  const outcomes: Outcome[] = [];
  const started: unknown[] = [];
  for (const projection of projections.filter((each) => named.includes(each))) {
    const values = { tenant_id, projection: projection.name, ...order };
    const { outcome, ...begun } = await tx.one(sql.rebuild_start, values, StartedSchema);
    outcomes.push({ projection, outcome });
    if (outcome === 'started') started.push({ projection: projection.name, ...begun });
  }
  for (const data of started) {
    await appendEvent(tx, { type: 'projections.rebuild_started', subject_id: tenant_id, data });
  }
  return outcomes;
}

export const RunningSchema = z.object({
  tenant_id: z.string(),
  projection: z.string(),
  number: z.number(),
  version: z.number(),
});

/** The rebuilds that go on in these tenants. One round trip. */
export async function listRunningRebuilds(
  database: Database,
  tenant_ids: string[],
): Promise<z.infer<typeof RunningSchema>[]> {
  return database.call(sql.rebuild_list_running, { tenant_ids }, RunningSchema);
}

const jsonText = z.string().transform((text): unknown => JSON.parse(text));

export const DifferenceSchema = z
  .object({
    table: z.string().meta({ example: 'balances_v' }),
    key: z.record(z.string(), z.unknown()).meta({ description: 'Of the row, without tenant and version' }),
  })
  .meta({ id: 'RebuildDifference', description: 'A row that the two versions have differently' });

const StateRowSchema = z.object({
  projection: z.string(),
  version: z.number(),
  position: z.number(),
  kept_version: z.number().nullable(),
  kept_position: z.number().nullable(),
  head_position: z.number(),
  number: z.number().nullable(),
  rebuild_version: z.number().nullable(),
  state: z.enum(['running', 'swapped', 'canceled', 'failed']).nullable(),
  stops_on_difference: z.boolean().nullable(),
  from_position: z.number().nullable(),
  to_position: z.number().nullable(),
  rebuild_position: z.number().nullable(),
  started_at: z.string().nullable(),
  ended_at: z.string().nullable(),
  previous_version: z.number().nullable(),
  compared_position: z.number().nullable(),
  difference_count: z.number().nullable(),
  differences: jsonText.pipe(z.array(DifferenceSchema)).nullable(),
  reason: z.string().nullable(),
});
export type ProjectionState = z.infer<typeof StateRowSchema>;

/** How each of these projections stands in a tenant, in their order. One round trip. */
export async function listProjectionStates(
  database: Database,
  tenant_id: string,
  projections: string[],
): Promise<ProjectionState[]> {
  return database.call(sql.projection_state_list, { tenant_id, projections }, StateRowSchema);
}

const EndedSchema = z.object({ ended: z.boolean() });

/** Answers false when it did not run any longer. */
async function end(
  tx: Tx,
  { projection, number }: Rebuild,
  state: 'canceled' | 'failed' | 'swapped',
  reason: string | null,
): Promise<boolean> {
  const values = { tenant_id: tx.actor.tenant_id, projection: projection.name, number, state, reason };
  return (await tx.one(sql.rebuild_end, values, EndedSchema)).ended;
}

/** Gives one up, if it runs. What it has built is kept, and can be gone on with. */
export async function maybeCancelRebuild(tx: Tx, rebuild: Rebuild): Promise<void> {
  if (!(await end(tx, rebuild, 'canceled', null))) return;
  await appendEvent(tx, {
    type: 'projections.rebuild_canceled',
    subject_id: tx.actor.tenant_id,
    data: { projection: rebuild.projection.name, number: rebuild.number, version: rebuild.version },
  });
}

export async function failRebuild(tx: Tx, rebuild: Rebuild, reason: string): Promise<void> {
  if (!(await end(tx, rebuild, 'failed', reason))) return;
  const { projection, number, version } = rebuild;
  await appendEvent(tx, {
    type: 'projections.rebuild_failed',
    subject_id: tx.actor.tenant_id,
    data: { projection: projection.name, number, version, reason },
  });
}

const HeldSchema = z.object({
  stops_on_difference: z.boolean(),
  difference_count: z.number().nullable(),
  /** how commits wait for the disk, but for those of slices */
  commits: z.string(),
  commits_now: z.string(),
  time: z.string(),
});

/** Null when it does not run any longer. `is_derived`: the transaction writes nothing but what can be made again. */
async function hold(tx: Tx, { projection, number }: Rebuild, is_derived: boolean) {
  const { tenant_id } = tx.actor;
  return tx.maybe(
    sql.rebuild_hold,
    { tenant_id, projection: projection.name, number, is_derived },
    HeldSchema,
  );
}

const AppliedSchema = z.object({
  state: z.enum(['slice', 'caught_up', 'busy', 'resting', 'parked']),
  position: z.number().nullable(),
  head_position: z.number().nullable(),
  retry_ms: z.number().nullable(),
});
export type AppliedSlice = z.infer<typeof AppliedSchema>;

/** Carries what is being built forward by one slice; null when the rebuild does not run any longer. */
export async function maybeApplySlice(tx: Tx, rebuild: Rebuild, limit: number): Promise<AppliedSlice | null> {
  if ((await hold(tx, rebuild, true)) === null) return null;
  return applyAs(tx, rebuild.projection, `${rebuild.projection.name}:rebuild`, limit);
}

/** Carries what is read forward by one slice, as its consumer does. */
export async function applyLiveSlice(tx: Tx, { projection }: Rebuild, limit: number): Promise<AppliedSlice> {
  return applyAs(tx, projection, projection.name, limit);
}

async function applyAs(
  tx: Tx,
  projection: Projection,
  consumer: string,
  limit: number,
): Promise<AppliedSlice> {
  return tx.one(projection.apply, { tenant_id: tx.actor.tenant_id, consumer, limit }, AppliedSchema);
}

const LockedSchema = z.object({
  version: z.number(),
  position: z.number(),
  built_version: z.number(),
  built_position: z.number(),
});
const PositionsSchema = LockedSchema.extend({ time: z.string() });

/** Where what is read and what is being built stand. */
export async function findPositions(
  tx: Tx,
  { projection }: Rebuild,
): Promise<z.infer<typeof PositionsSchema>> {
  const { tenant_id } = tx.actor;
  return tx.one(sql.rebuild_positions, { tenant_id, projection: projection.name }, PositionsSchema);
}

const CountSchema = z.object({
  difference_count: z.number(),
  differences: jsonText.pipe(z.array(DifferenceSchema)),
});

export interface Comparison {
  position: number;
  difference_count: number;
  differences: z.infer<typeof DifferenceSchema>[];
}

/** Compares all rows of both versions, in a transaction on one snapshot; null when they do not stand at the same position on it. */
export async function maybeCompare(tx: Tx, rebuild: Rebuild): Promise<Comparison | null> {
  const { version, position, built_version, built_position } = await findPositions(tx, rebuild);
  if (position !== built_position) return null;
  const found: Comparison = { position, difference_count: 0, differences: [] };
  for (const table of rebuild.projection.tables) {
    const values = {
      tenant_id: tx.actor.tenant_id,
      table,
      version,
      built_version,
      row_limit: kept_differences,
    };
    const { difference_count, differences } = await tx.one(sql.rebuild_differing_rows, values, CountSchema);
    found.difference_count += difference_count;
    found.differences.push(...differences);
  }
  return found;
}

export async function recordComparison(tx: Tx, { projection, number }: Rebuild, found: Comparison) {
  const { position, difference_count } = found;
  await tx.run(sql.rebuild_compared, {
    tenant_id: tx.actor.tenant_id,
    projection: projection.name,
    number,
    position,
    difference_count,
    differences: JSON.stringify(found.differences),
  });
}

/**
 * Puts what was built in the place of what is read: in this transaction it comes at least as far, and the consumers exchange version and
 * position. A difference that stops the rebuild fails it instead. `busy`: no slice could be applied just now.
 * Locks: the rows of both consumers, so what is read stands still; posting goes on.
 */
export async function maybeSwap(tx: Tx, rebuild: Rebuild): Promise<'swapped' | 'ended' | 'busy'> {
  const { tenant_id } = tx.actor;
  const { projection, number } = rebuild;
  const held = await hold(tx, rebuild, false);
  if (held === null) return 'ended';
  if (held.stops_on_difference && held.difference_count !== 0) {
    await failRebuild(
      tx,
      rebuild,
      held.difference_count === null
        ? 'the versions could not be compared'
        : `${held.difference_count} rows differ`,
    );
    return 'ended';
  }
  const locked = await tx.one(sql.rebuild_lock, { tenant_id, projection: projection.name }, LockedSchema);
  let position = locked.built_position;
  while (position < locked.position) {
    const applied = await applyAs(tx, projection, `${projection.name}:rebuild`, locked.position - position);
    if (applied.state !== 'slice' || applied.position === null) return 'busy';
    position = applied.position;
  }
  // The event and what became of the rebuild cannot be made again.
  await tx.run(sql.rebuild_wait_for_disk, { commits: held.commits });
  await end(tx, rebuild, 'swapped', null);
  await appendEvent(tx, {
    type: 'projections.rebuild_swapped',
    subject_id: tenant_id,
    data: {
      projection: projection.name,
      number,
      version: locked.built_version,
      previous_version: locked.version,
      position,
      difference_count: held.difference_count,
    },
  });
  return 'swapped';
}
