// One factory per noun, through the verbs and routes that everybody else uses. Each test takes a tenant of its own.
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { type Actor, type Database, platform_tenant_id, system_actor_id } from '../../src/db.ts';
import { newUuid } from '../../src/id.ts';
import { addJob } from '../../src/job.ts';
import { buryDead, listDeadLetters, renderDeadLetter } from '../../src/jobs/dead_letters.ts';
import { createLogger } from '../../src/log.ts';
import { createKey, type RoleName } from '../../src/modules/access/index.ts';
import { createTenant } from '../../src/modules/tenants/index.ts';
import type { Client } from './client.ts';
import { asSuperuser, database } from './database.ts';

/** The platform itself as an actor. */
export const platform: Actor = {
  tenant_id: platform_tenant_id,
  actor_id: system_actor_id,
  request_id: 'req_test',
};

export interface TestTenant {
  /** uuid */
  id: string;
  slug: string;
  /** an owner's */
  api_key: string;
  /** the holder of that key, for verbs that take a Tx */
  actor: Actor;
}

/** A tenant without accounts, and its owner's key; on this file's database unless another is given. */
export async function aTenant(
  tenant: Partial<Omit<Parameters<typeof createTenant>[1], 'id'>> = {},
  on: Database = database,
): Promise<TestTenant> {
  const row = await on.transaction(platform, (tx) =>
    createTenant(tx, {
      slug: `t-${randomBytes(8).toString('hex')}`,
      name: 'Test tenant',
      mode: 'test',
      template: 'blank',
      currency: 'EUR',
      ...tenant,
    }),
  );
  const { api_key, actor_id } = await aKey(row.id, 'owner', on);
  return {
    id: row.id,
    slug: row.slug,
    api_key,
    actor: { tenant_id: row.id, actor_id, request_id: 'req_test' },
  };
}

/** A further key of a tenant. */
export async function aKey(
  tenant_id: string,
  role: RoleName,
  on: Database = database,
): Promise<{ api_key: string /** uuid */; actor_id: string }> {
  const actor_id = newUuid();
  const { api_key } = await on.transaction({ ...platform, tenant_id }, (tx) =>
    createKey(tx, { id: actor_id, name: `test ${role}`, role }),
  );
  return { api_key, actor_id };
}

/** A key of the platform's administrators. */
export async function aPlatformKey(): Promise<string> {
  return (await aKey(platform_tenant_id, 'platform')).api_key;
}

const AccountSchema = z.looseObject({
  id: z.string(),
  code: z.string(),
  currency: z.string(),
  normal_side: z.enum(['debit', 'credit']),
});

const TransactionSchema = z.looseObject({
  id: z.string(),
  position: z.number(),
  status: z.string(),
  recorded_at: z.string(),
});

/** An account; a liability in EUR with a code of its own unless told otherwise. */
export async function anAccount(
  api: Client,
  account: Record<string, unknown> = {},
): Promise<z.infer<typeof AccountSchema>> {
  const code = `test:${randomBytes(6).toString('hex')}`;
  const answer = await api.post('/v1/accounts', { code, type: 'liability', currency: 'EUR', ...account });
  return answer.as(AccountSchema);
}

/** A transaction from the one account to the other: debits the first, credits the second. */
export async function aTransaction(
  api: Client,
  transaction: { debit: string; credit: string; amount?: string } & Record<string, unknown>,
): Promise<z.infer<typeof TransactionSchema>> {
  const { debit, credit, amount = '100', ...rest } = transaction;
  const answer = await api.post('/v1/transactions', {
    entries: [
      { account: debit, direction: 'debit', amount },
      { account: credit, direction: 'credit', amount },
    ],
    ...rest,
  });
  return answer.as(TransactionSchema);
}

/** A job of a tenant that gave up, as an id; nobody takes jobs from the queue meanwhile. */
export async function aDeadLetter(
  actor: Actor,
  { job = 'ledger.expire_holds', reason = 'it failed' }: { job?: string; reason?: string } = {},
): Promise<string> {
  await database.transaction(actor, (tx) => addJob(tx, { name: job }, {}, { key: 'due' }));
  await asSuperuser(
    z.unknown(),
    `update graphile_worker._private_jobs set attempts = max_attempts, last_error = $1
     where payload ->> 'tenant_id' = $2 and attempts = 0`,
    [reason, actor.tenant_id],
  );
  await buryDead(database, createLogger('silent'));
  const filters = { status: null, job: null };
  const [found] = await database.read(actor, (tx) =>
    listDeadLetters(tx, filters, { row_limit: 1, after: null }),
  );
  if (found === undefined) throw new Error('the job is still in the queue');
  return renderDeadLetter(found).id;
}
