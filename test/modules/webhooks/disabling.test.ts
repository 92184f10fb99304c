// An endpoint that is disabled and enabled again, the replay that the runbook asks for, and a consumer that is anywhere meanwhile: behind,
// parked, passing over, or in the middle of a slice.
import fc from 'fast-check';
import pg from 'pg';
import { expect, test } from 'vitest';
import { z } from 'zod';
import type { Tx } from '../../../src/db.ts';
import { newUuid } from '../../../src/id.ts';
import { replayRange } from '../../../src/modules/webhooks/deliveries.ts';
import {
  createEndpoint,
  disableEndpoint,
  enableEndpoint,
  findEndpoint,
} from '../../../src/modules/webhooks/endpoints.ts';
import { webhooksConsumer } from '../../../src/modules/webhooks/queue.ts';
import { Vault } from '../../../src/modules/webhooks/vault.ts';
import { atEnd, database, databaseUrl } from '../../support/database.ts';
import { seed } from '../../support/dice.ts';
import { aTenant, type TestTenant } from '../../support/factories.ts';
import { append } from '../log/following.ts';

const vault = new Vault({
  NODE_ENV: 'test',
  LATTICE_DATA_DIR: '/nonexistent',
  WEBHOOK_SECRET_KEY: [Buffer.alloc(32, 'a').toString('base64')],
});
const consumer = webhooksConsumer(database, { isServed: () => false, serve: () => {}, wake: () => {} });
/** Connections that stay open: each step asks. */
const onlooker = new pg.Client({ connectionString: databaseUrl('postgres') });
const other_process = new pg.Client({ connectionString: databaseUrl('lattice_app') });
for (const client of [onlooker, other_process]) {
  await client.connect();
  atEnd(() => client.end());
}

const PositionSchema = z.object({ position: z.coerce.number() });

/** The positions after one that no delivery is about. */
async function missing(
  tenant: TestTenant,
  after: number,
  up_to = Number.MAX_SAFE_INTEGER,
): Promise<number[]> {
  const { rows } = await onlooker.query(
    `select position from log.event
     where tenant_id = $1 and position > $2 and position <= $3
     except select position from webhooks.delivery where tenant_id = $1
     order by 1`,
    [tenant.id, after, up_to],
  );
  return rows.map((row) => PositionSchema.parse(row).position);
}

async function headOf({ id }: TestTenant): Promise<number> {
  const { rows } = await onlooker.query(
    'select max(position) as position from log.event where tenant_id = $1',
    [id],
  );
  return PositionSchema.parse(rows[0]).position;
}

/** What the consumer does next, in a transaction of its own. */
async function follow(tenant: TestTenant, how: 'slice' | 'pass over', limit: number): Promise<void> {
  if (how === 'slice') await consumer.apply({ tenant_id: tenant.id, limit, alone: false });
  else await consumer.quiet?.passOver([tenant.id]);
}

/** Does something between what a slice of another process does and its commit. */
async function inSlice(tenant: TestTenant, limit: number, work: () => Promise<void>): Promise<void> {
  await other_process.query('begin');
  await other_process.query("select from webhooks.queue_deliveries($1, 'webhooks', $2)", [tenant.id, limit]);
  try {
    await work();
  } finally {
    await other_process.query('commit');
  }
}

/** Disables an endpoint that is enabled, and enables one that is disabled and replays as the runbook says. */
async function turn(tenant: TestTenant, id: string, beforeCommit: () => Promise<void>): Promise<void> {
  const change = (verb: (tx: Tx) => Promise<unknown>) =>
    database.transaction(tenant.actor, async (tx) => {
      await verb(tx);
      await beforeCommit();
    });
  const { status, disabled_position } = await database.read(tenant.actor, (tx) => findEndpoint(tx, id));
  if (status === 'enabled') {
    await change((tx) => disableEndpoint(tx, id, 'asked'));
    return;
  }
  await change((tx) => enableEndpoint(tx, id));
  const range = { after: z.number().parse(disabled_position), up_to: await headOf(tenant) };
  await database.transaction(tenant.actor, (tx) => replayRange(tx, id, range));
}

const steps = fc.array(
  fc.record({
    what: fc.constantFrom('post', 'follow', 'turn', 'turn', 'turn in a slice'),
    how: fc.constantFrom('slice', 'slice', 'pass over'),
    /** also before a change of the endpoint commits, unless a slice is under way already */
    is_within: fc.boolean(),
    limit: fc.integer({ min: 1, max: 6 }),
  }),
  { minLength: 4, maxLength: 24 },
);

test(`each event is queued, or comes by the replay that follows a disablement, wherever the consumer is (seed ${seed})`, async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (drawn) => {
      const tenant = await aTenant();
      const id = newUuid();
      const described = { url: 'https://example.com/', description: null, types: null };
      await database.transaction(tenant.actor, (tx) =>
        createEndpoint(tx, vault, id, { ...described, ordering: 'parallel', format: 'event' }, 'hmac'),
      );
      const created = await headOf(tenant);
      for (const { what, how, is_within, limit } of drawn) {
        const beforeCommit = async () => {
          if (is_within) await follow(tenant, how, limit);
        };
        if (what === 'post') await append(tenant, limit);
        else if (what === 'follow') await follow(tenant, how, limit);
        else if (what === 'turn') await turn(tenant, id, beforeCommit);
        else await inSlice(tenant, limit, () => turn(tenant, id, async () => {}));
      }
      const { status, disabled_position } = await database.read(tenant.actor, (tx) => findEndpoint(tx, id));
      if (status === 'disabled') {
        // Up to there nothing needs to be replayed.
        expect(await missing(tenant, created, z.number().parse(disabled_position))).toEqual([]);
        await turn(tenant, id, async () => {});
      }
      await follow(tenant, 'slice', 1_000);
      expect(await missing(tenant, created)).toEqual([]);
    }),
    { seed, numRuns: 40 },
  );
});
