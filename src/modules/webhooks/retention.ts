// How long the delivery log is kept. What is pending stays, however old it is.
import { z } from 'zod';
import { type Database, queries } from '../../db.ts';
import { type Job, job } from '../../job.ts';

const sql = queries(import.meta.url, 'webhook_deliveries_prune');

/** deliveries of one transaction: some ten milliseconds */
const batch_rows = 1_000;
const day_ms = 86_400_000;
const first_id = '00000000-0000-0000-0000-000000000000';

const PrunedSchema = z.object({ deleted: z.int(), last_id: z.uuid().nullable() });

/** Deletes a tenant's deliveries that finished so many days ago, with their attempts; answers how many. Ends early when `signal` says so. */
export async function pruneDeliveries(
  database: Database,
  tenant_id: string,
  { older_than_days, now_ms = Date.now() }: { older_than_days: number; now_ms?: number },
  signal?: AbortSignal,
): Promise<number> {
  const before = new Date(now_ms - older_than_days * day_ms).toISOString();
  let count = 0;
  for (let after: string | null = first_id; after !== null; ) {
    signal?.throwIfAborted();
    const values: Record<string, unknown> = { tenant_id, before, after, row_limit: batch_rows };
    const [pruned] = await database.call(sql.webhook_deliveries_prune, values, PrunedSchema);
    if (pruned === undefined) throw new Error('a batch has an end');
    count += pruned.deleted;
    after = pruned.last_id;
  }
  return count;
}

/** Every night, in each tenant. */
export function retentionJob(older_than_days: number): Job {
  return job({
    name: 'webhooks.prune_deliveries',
    description: 'Deletes deliveries that finished long ago from the delivery log',
    payload: z.unknown(),
    schedule: { of: 'tenant', cron: '23 2 * * *', time_zone: 'UTC' },
    async run({ database, logger, actor, signal }) {
      const deliveries = await pruneDeliveries(database, actor.tenant_id, { older_than_days }, signal);
      if (deliveries > 0)
        logger.info({ tenant_id: actor.tenant_id, deliveries }, 'old webhook deliveries are deleted');
    },
  });
}
