// Letting go of versions of a projection, and of their rows.
import { z } from 'zod';
import { type Database, queries, type Tx } from '../../db.ts';
import { appendEvent } from '../log/index.ts';
import type { Projection } from './projection.ts';

const sql = queries(import.meta.url, 'version_drop', 'version_sweep');

const swept_rows = 20_000;

const DroppedSchema = z.object({ dropped: z.array(z.number()) });

/** Drops versions, if they are still what they were: the one that is kept, and the one that is read. */
export async function dropVersions(
  tx: Tx,
  projection: Projection,
  { version, kept_version }: { version: number | null; kept_version: number | null },
): Promise<void> {
  const { tenant_id } = tx.actor;
  const { dropped } = await tx.one(
    sql.version_drop,
    { tenant_id, projection: projection.name, version, kept_version },
    DroppedSchema,
  );
  if (dropped.length === 0) return;
  await appendEvent(tx, {
    type: 'projections.projection_dropped',
    subject_id: tenant_id,
    data: { projection: projection.name, versions: dropped },
  });
}

const SweptSchema = z.object({ deleted_count: z.number() });

/** Deletes the rows of versions that are neither read nor kept nor being built, some at a time; each time is a transaction. */
export async function sweepVersions(
  database: Database,
  tenant_id: string,
  { name, tables }: Projection,
  signal?: AbortSignal,
): Promise<void> {
  for (const table of tables) {
    for (let deleted = swept_rows; deleted === swept_rows && signal?.aborted !== true; ) {
      const values = { tenant_id, projection: name, table, row_limit: swept_rows };
      const [swept] = await database.call(sql.version_sweep, values, SweptSchema);
      deleted = swept?.deleted_count ?? 0;
    }
  }
}
