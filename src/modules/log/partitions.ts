// The monthly partitions of the months ahead, without which nothing can be posted when their month has come.
import { Gauge, type Registry } from 'prom-client';
import { z } from 'zod';
import { type Database, queries } from '../../db.ts';
import { job } from '../../job.ts';
import type { Logger } from '../../log.ts';

const sql = queries(import.meta.url, 'partitions_make', 'partitions_ahead');

const months_ahead = 12;
/** Fewer is an alarm: nobody has made new ones for most of a year. */
export const partitions_ahead_min = 3;
/** An alarm need not be younger, and a scrape should cost little. */
const fresh_ms = 60_000;

const PartitionsSchema = z.object({ table: z.string(), ahead: z.number() });

export const make_partitions = job({
  name: 'log.make_partitions',
  description: 'Makes the monthly partitions of the year ahead',
  payload: z.strictObject({}),
  schedule: { of: 'platform', cron: '17 */6 * * *', time_zone: 'UTC' },
  async run({ database, logger }) {
    const [made] = await database.call(sql.partitions_make, { months_ahead }, z.object({ made: z.number() }));
    const fewest = await fewestAhead(database);
    if (fewest < partitions_ahead_min) logger.error({ fewest }, 'too few partitions lie ahead');
    else if (made !== undefined && made.made > 0) logger.info({ partitions: made.made }, 'partitions made');
  },
});

/** Read when somebody asks, by every process: whoever makes them may be the one that does not run. */
export function showPartitionsAhead(database: Database, logger: Logger, registry: Registry): void {
  let read_ms = Number.NEGATIVE_INFINITY;
  new Gauge({
    name: 'lattice_partitions_ahead',
    help: 'Monthly partitions that lie ahead, of the table that has fewest; below 3 is an alarm',
    registers: [registry],
    async collect() {
      if (performance.now() - read_ms < fresh_ms) return;
      read_ms = performance.now();
      const fewest = await fewestAhead(database).catch((error: unknown) => {
        logger.debug({ err: error }, 'the partitions ahead could not be counted');
        return null;
      });
      if (fewest !== null) this.set(fewest);
    },
  });
}

async function fewestAhead(database: Database): Promise<number> {
  return Math.min(...(await partitionsAhead(database)).map((table) => table.ahead));
}

export function partitionsAhead(database: Database): Promise<z.infer<typeof PartitionsSchema>[]> {
  return database.call(sql.partitions_ahead, {}, PartitionsSchema);
}
