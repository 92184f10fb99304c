// Upkeep of a process that runs for months: the partitions of the months ahead, and the alarm when they are not there.
import { Gauge, type Registry } from 'prom-client';
import { z } from 'zod';
import { type Database, queries } from '../db.ts';
import type { Logger } from '../log.ts';

const sql = queries(import.meta.url, 'partitions_create', 'partitions_ahead');

const months_ahead = 12;
/** Fewer is an alarm: nobody has made new ones for most of a year. */
export const partitions_ahead_min = 3;
const interval_ms = 12 * 3_600_000;

const PartitionsSchema = z.object({ table: z.string(), ahead: z.number() });
export type Partitions = z.infer<typeof PartitionsSchema>;

/** Does it now, and then twice a day; answers how to end it, after a turn that is under way. What fails is logged and tried again at the next turn. */
export function startUpkeep(database: Database, logger: Logger, metrics: Registry): () => Promise<void> {
  const ahead = new Gauge({
    name: 'lattice_partitions_ahead',
    help: 'Monthly partitions that lie ahead, of the table that has fewest; below 3 is an alarm',
    registers: [metrics],
  });
  const turn = async () => {
    await database.call(sql.partitions_create, { months_ahead }, z.object({ created: z.number() }));
    const fewest = Math.min(...(await partitionsAhead(database)).map((table) => table.ahead));
    ahead.set(fewest);
    if (fewest < partitions_ahead_min) logger.error({ fewest }, 'too few partitions lie ahead');
  };
  const turnAndTell = () =>
    turn().catch((error: unknown) => logger.error({ error }, 'the partitions ahead could not be made'));
  let last = turnAndTell();
  const timer = setInterval(() => {
    last = turnAndTell();
  }, interval_ms);
  return () => {
    clearInterval(timer);
    return last;
  };
}

export function partitionsAhead(database: Database): Promise<Partitions[]> {
  return database.call(sql.partitions_ahead, {}, PartitionsSchema);
}
