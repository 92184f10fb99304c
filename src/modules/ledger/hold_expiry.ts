// Holds that ended by themselves get their event. Readers and writers need none: to them a hold ends exactly at its time. The log, and
// whoever follows it, hears of it here.
import { z } from 'zod';
import { queries } from '../../db.ts';
import { Problem } from '../../errors.ts';
import { hash16 } from '../../hash.ts';
import { encodeId } from '../../id.ts';
import { addJob, type Job, type JobContext, job } from '../../job.ts';
import { listTenants } from '../tenants/index.ts';
import type { Command } from './command.ts';
import type { Poster } from './poster.ts';

const sql = queries(import.meta.url, 'hold_due_tenants', 'hold_list_due');

const tenants_per_page = 1_000;
/** Posted together, with what else the tenant posts between them. */
const holds_per_page = 500;

const DueSchema = z.object({ transaction_id: z.string(), expires_at: z.string() });
const TenantSchema = z.object({ tenant_id: z.string() });
const nothing = z.strictObject({});

export function holdExpiryJobs(poster: Poster): Job[] {
  const expire_holds = job({
    name: 'ledger.expire_holds',
    description: 'Records the holds of a tenant that have ended by themselves',
    payload: nothing,
    run: (context) => expireHolds(poster, context),
  });
  const find_due_holds = job({
    name: 'ledger.find_due_holds',
    description: 'Looks for tenants with holds that have ended by themselves',
    payload: nothing,
    schedule: { of: 'platform', cron: '* * * * *', time_zone: 'UTC' },
    run: (context) => findDueHolds(context, expire_holds),
  });
  return [expire_holds, find_due_holds];
}

/** One job for each tenant, so that one tenant's trouble is its own. */
async function findDueHolds({ database, actor, signal }: JobContext, expire_holds: Job): Promise<void> {
  for (let after: string | null = null; ; ) {
    signal.throwIfAborted();
    const page: { id: string }[] = await database.read(actor, (tx) =>
      listTenants(tx, { after, row_limit: tenants_per_page, status: null }),
    );
    const tenant_ids = page.map(({ id }) => id);
    const due = await database.call(sql.hold_due_tenants, { tenant_ids }, TenantSchema);
    for (const { tenant_id } of due) {
      await database.transaction({ ...actor, tenant_id }, (tx) =>
        addJob(tx, expire_holds, {}, { key: 'due', if_queued: 'keep' }),
      );
    }
    after = tenant_ids.at(-1) ?? null;
    if (after === null || page.length < tenants_per_page) return;
  }
}

/**
 * Through the group commit like every posting, each hold under a key of its own: of two who do it at once, and of any number of repetitions,
 * one writes the event. A hold that was captured or voided just before is refused, and left alone.
 */
async function expireHolds(poster: Poster, { database, actor, signal, logger }: JobContext): Promise<void> {
  for (let last: z.infer<typeof DueSchema> | null = null; ; ) {
    signal.throwIfAborted();
    const after = { after_expires_at: last?.expires_at ?? null, after_id: last?.transaction_id ?? null };
    const due: z.infer<typeof DueSchema>[] = await database.call(
      sql.hold_list_due,
      { tenant_id: actor.tenant_id, row_limit: holds_per_page, ...after },
      DueSchema,
    );
    try {
      const outcomes = await Promise.all(
        due.map(({ transaction_id }) =>
          poster.submit(actor.tenant_id, expiryOf(transaction_id, actor), 'bulk'),
        ),
      );
      for (const outcome of outcomes) if (outcome.state === 'rejected') throw outcome.problem;
    } catch (error) {
      // The tenant's postings stand still, of which there is an alarm; the next turn tries again.
      if (error instanceof Problem && error.code === 'ledger_halted') {
        logger.warn(
          { tenant_id: actor.tenant_id },
          'holds wait for a halted ledger to be recorded as expired',
        );
        return;
      }
      throw error;
    }
    last = due.at(-1) ?? null;
    if (last === null || due.length < holds_per_page) return;
  }
}

function expiryOf(transaction_id: string, actor: JobContext['actor']): Command {
  const key_hash = hash16(`expiry ${transaction_id}`);
  return {
    origin: {
      actor_id: actor.actor_id,
      request_id: actor.request_id,
      instance: `/v1/transactions/${encodeId('transaction', transaction_id)}`,
      key_hash,
      request_hash: key_hash,
      key_pointer: '#',
    },
    order: { kind: 'expiry', target_id: transaction_id, pointer: '#/path/transaction' },
  };
}
