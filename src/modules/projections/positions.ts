// How far a projection has come, and waiting until it has come far enough for a client to find what it has just written.
import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import { type Database, queries, type Tx } from '../../db.ts';
import { Problem } from '../../errors.ts';
import { checkReached } from '../../position.ts';

const sql = queries(import.meta.url, 'projection_position_find');

/** how long a read waits for its position, and how often it looks */
const max_wait_ms = 5_000;
const first_look_ms = 25;
const max_look_ms = 200;

const ReachedSchema = z.object({ position: z.number(), version: z.number(), head_position: z.number() });
export type Reached = z.infer<typeof ReachedSchema>;

/** In the snapshot of the transaction. */
export async function findReached(tx: Tx, name: string): Promise<Reached> {
  return tx.one(sql.projection_position_find, { tenant_id: tx.actor.tenant_id, name }, ReachedSchema);
}

/** Outside any transaction. Errors: `invalid_request` for a position that the log has not reached, `projection_behind`. */
export async function waitForPosition(
  database: Database,
  tenant_id: string,
  name: string,
  min_position: number | undefined,
): Promise<void> {
  if (min_position === undefined) return;
  const deadline_ms = performance.now() + max_wait_ms;
  for (let look_ms = first_look_ms; ; look_ms = Math.min(max_look_ms, look_ms * 2)) {
    const [reached] = await database.call(sql.projection_position_find, { tenant_id, name }, ReachedSchema);
    if (reached === undefined) throw new Error('a projection stands somewhere');
    if (reached.position >= min_position) return;
    checkReached('#/query/min_position', min_position, reached.head_position);
    if (performance.now() + look_ms > deadline_ms) throw behind(min_position, reached.position);
    await pause(look_ms);
  }
}

function behind(min_position: number, position: number): Problem {
  return new Problem('projection_behind', `It has come to position ${position} of ${min_position}`, {
    extras: { position, min_position },
    headers: { 'Retry-After': '1' },
  });
}
