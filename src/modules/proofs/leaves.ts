// Leaves: what stands for each event with its entries in the tree of its block. Postgres hashes them where they are, by a statement of this
// process: a function that is stored in the database could be replaced by whoever has changed the history that it is to hash.
import { z } from 'zod';
import { queries, type Tx } from '../../db.ts';

const sql = queries(import.meta.url, 'leaf_settings', 'leaf_range');

const LeavesSchema = z.object({
  /** one after the other; zeros for entries without an event */
  leaves: z.instanceof(Buffer),
  /** whose they are; null when each position of the range has exactly one event */
  positions: z.array(z.int()).nullable(),
});
export type Leaves = z.infer<typeof LeavesSchema>;

export interface Range {
  /** the positions after this one */
  after: number;
  up_to: number;
  /** between which they were recorded; absent when nothing may be overlooked */
  from_at?: string;
  to_at?: string;
}

/** A tree over so many is hashed in a few milliseconds, during which the process does nothing else. A block that claims more is none of ours. */
export const max_block_positions = 4_096;

/** Once in a transaction, before hashing. */
export async function prepareHashing(tx: Tx): Promise<void> {
  await tx.run(sql.leaf_settings, {});
}

export async function hashRange(tx: Tx, range: Range): Promise<Leaves> {
  const { after, up_to, from_at = '-infinity', to_at = 'infinity' } = range;
  const { tenant_id } = tx.actor;
  return tx.one(sql.leaf_range, { tenant_id, after, up_to, from_at, to_at }, LeavesSchema);
}
