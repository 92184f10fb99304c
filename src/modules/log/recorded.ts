// What had been recorded by an instant, once and for all.
import { type Database, queries } from '../../db.ts';

const sql = queries(import.meta.url, 'recorded_await');

/**
 * An instant up to which a statement is to read what was recorded, once it may begin. An event has its instant before it is committed: this
 * waits until all that a past one includes can be seen, so that the read sees the same for ever. One round trip, a transaction by itself, that
 * waits for nobody when the log has gone on since, nor for the future.
 * Errors: `unavailable`.
 */
export async function recordedBy<Instant extends string | null>(
  database: Database,
  tenant_id: string,
  instant: Instant,
): Promise<Instant> {
  if (instant !== null) await database.callRows(sql.recorded_await, { tenant_id, instant });
  return instant;
}
