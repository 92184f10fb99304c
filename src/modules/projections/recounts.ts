// Whether a projection is what a count that shares nothing with it says, on one snapshot.
import { z } from 'zod';
import { type Actor, type Database, queries } from '../../db.ts';
import type { Projection } from './projection.ts';

const sql = queries(import.meta.url, 'recount_allow_time');

const RowSchema = z.object({
  what: z.string(),
  expected: z.string().nullable(),
  found: z.string().nullable(),
});

/** Each difference, some of each kind when there are many. Reads every entry. */
export async function listDifferences(
  database: Database,
  actor: Actor,
  projection: Projection,
): Promise<z.infer<typeof RowSchema>[]> {
  return database.readLong(actor, async (tx) => {
    await tx.run(sql.recount_allow_time, {});
    return tx.many(projection.recount, { tenant_id: actor.tenant_id }, RowSchema);
  });
}
