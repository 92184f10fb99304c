import pg from 'pg';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { Database } from '../../../src/db.ts';
import {
  listConsumers,
  maybeResumeConsumer,
  transactionConsumer,
} from '../../../src/modules/log/consumers.ts';
import { asSuperuser, database, databaseUrl } from '../../support/database.ts';
import { aTenant, type TestTenant } from '../../support/factories.ts';
import { waitFor } from '../../support/wait.ts';
import {
  append,
  createEffects,
  effectConsumer,
  effectsOf,
  query,
  startFollowing,
  upTo,
  writeEffects,
} from './following.ts';

await createEffects();

async function follows(tenant: TestTenant, consumer: string, position: number): Promise<void> {
  await waitFor(`${consumer} has come to ${position}`, async () => {
    const effects = await effectsOf(tenant, consumer);
    return effects.length >= position;
  });
}

async function stateOf(tenant: TestTenant, name: string) {
  const described = effectConsumer(database, name);
  const [state] = await listConsumers(database, tenant.id, [described]);
  return state;
}

const EventSchema = z.object({ type: z.string(), data: z.unknown() });

async function eventsOf(tenant: TestTenant, type: string) {
  return asSuperuser(EventSchema, 'select type, data from log.event where tenant_id = $1 and type = $2', [
    tenant.id,
    type,
  ]);
}

test('each event has its effect once and in order, whoever appends and however many processes follow', async () => {
  const consumers = (own: Database) => [effectConsumer(own, 'many')];
  const [tenant, ...processes] = await Promise.all([
    aTenant(),
    startFollowing(consumers),
    startFollowing(consumers),
    startFollowing(consumers),
  ]);
  let position = 0;
  for (let round = 0; round < 40; round += 1) {
    // In turn by a process that follows, and by one that does not.
    const by = round % 2 === 0 ? processes[round % 3]?.database : database;
    position = await append(tenant, 1 + (round % 7), by);
  }
  await follows(tenant, 'many', position);
  expect(await effectsOf(tenant, 'many')).toEqual(upTo(position));
});

test('a process that starts finds what was appended before', async () => {
  const tenant = await aTenant();
  const position = await append(tenant, 25);
  await startFollowing((own) => [effectConsumer(own, 'late')]);
  await follows(tenant, 'late', position);
  expect(await effectsOf(tenant, 'late')).toEqual(upTo(position));
});

describe('a poisoned event', () => {
  test('parks its consumer for its tenant at its position, and nothing else', async () => {
    const [tenant, other] = [await aTenant(), await aTenant()];
    let is_poisoned = true;
    await startFollowing((own) => [
      effectConsumer(own, 'poisoned', async (tx, slice) => {
        await writeEffects(tx, 'poisoned', slice);
        const has_poison = tx.actor.tenant_id === tenant.id && slice.after < 30 && slice.up_to >= 30;
        if (is_poisoned && has_poison) throw new Error('no event like this was foreseen');
      }),
      effectConsumer(own, 'beside'),
    ]);
    const position = await append(tenant, 50);
    const others = await append(other, 50);
    const parked = await waitFor('the consumer is parked', async () => {
      const state = await stateOf(tenant, 'poisoned');
      return state?.status === 'parked' ? state : null;
    });
    expect(parked).toMatchObject({ position: 29, attempts: 3, reason: 'no event like this was foreseen' });
    expect(await effectsOf(tenant, 'poisoned')).toEqual(upTo(29));
    await follows(other, 'poisoned', others);
    expect(await eventsOf(tenant, 'log.consumer_parked')).toEqual([
      {
        type: 'log.consumer_parked',
        data: {
          consumer: 'poisoned',
          position: 30,
          attempts: 3,
          reason: 'no event like this was foreseen',
        },
      },
    ]);
    await follows(tenant, 'beside', position + 1);

    // Resumed before its cause is gone, it is parked again; after that it goes on where it stood.
    await resume(tenant);
    const again = await waitFor('the consumer is parked again', async () => {
      const state = await stateOf(tenant, 'poisoned');
      return state?.status === 'parked' ? state : null;
    });
    expect(again).toMatchObject({ position: 29, attempts: 3 });
    is_poisoned = false;
    await resume(tenant);
    const [head] = await listConsumers(database, tenant.id, [effectConsumer(database, 'poisoned')]);
    await follows(tenant, 'poisoned', head?.head_position ?? 0);
    expect(await effectsOf(tenant, 'poisoned')).toEqual(upTo(head?.head_position ?? 0));
    expect(await stateOf(tenant, 'poisoned')).toMatchObject({
      status: 'following',
      attempts: 0,
      reason: null,
    });
  });

  async function resume(tenant: TestTenant): Promise<void> {
    expect(await database.transaction(tenant.actor, (tx) => maybeResumeConsumer(tx, 'poisoned', null))).toBe(
      true,
    );
  }

  test('that Postgres refuses parks as well, and leaves nothing of its slice', async () => {
    const tenant = await aTenant();
    const { metrics } = await startFollowing((own) => [
      effectConsumer(own, 'refused', async (tx, slice) => {
        await writeEffects(tx, 'refused', slice);
        if (tx.actor.tenant_id === tenant.id) await tx.run(query('statement_fail'), {});
      }),
    ]);
    await append(tenant, 3);
    const parked = await waitFor('the consumer is parked', async () => {
      const state = await stateOf(tenant, 'refused');
      return state?.status === 'parked' ? state : null;
    });
    expect(parked).toMatchObject({ position: 0, reason: 'division by zero', lag_events: 5 });
    expect(await effectsOf(tenant, 'refused')).toEqual([]);
    await waitFor('the metric tells', async () =>
      (await metrics.metrics()).includes('lattice_consumer_parked_tenants{consumer="refused"} 1'),
    );
  });
});

test('a consumer that stands further back than it did goes on from there, and the process lives', async () => {
  const tenant = await aTenant();
  const first = await append(tenant, 20);
  const { metrics } = await startFollowing((own) => [
    transactionConsumer(
      own,
      { name: 'back', description: 'Writes an effect for each event', max_slice_positions: 5 },
      (tx, slice) => writeEffects(tx, 'back', slice),
    ),
  ]);
  await follows(tenant, 'back', first);
  // As it is after a drop of what it made, and after a crash of the database that took the commits which did not wait for the disk.
  await asSuperuser(
    z.unknown(),
    "update log.consumer set position = 0, recorded_at = '-infinity' where tenant_id = $1 and name = 'back'",
    [tenant.id],
  );
  const last = await append(tenant, 1);
  await follows(tenant, 'back', first + last);
  expect(await effectsOf(tenant, 'back')).toEqual([...upTo(first), ...upTo(last)]);
  const text = await metrics.metrics();
  expect(text).toMatch(/lattice_consumer_positions_total\{consumer="back"\} [0-9]+/);
});

test('what passes by itself parks nobody', async () => {
  const tenant = await aTenant();
  let failures = 0;
  await startFollowing((own) => [
    effectConsumer(own, 'passing', async (tx, slice) => {
      failures += 1;
      if (failures <= 6) await tx.run(query('deadlock_raise'), {});
      await writeEffects(tx, 'passing', slice);
    }),
  ]);
  await append(tenant, 5);
  await follows(tenant, 'passing', 5);
  expect(failures).toBeGreaterThan(6);
  expect(await eventsOf(tenant, 'log.consumer_parked')).toEqual([]);
});

test('a slice that takes long delays neither other tenants nor other consumers of its tenant', async () => {
  const stuck = await Promise.all([aTenant(), aTenant(), aTenant(), aTenant()]);
  const other = await aTenant();
  const key = 715_001;
  const release = await holdLock(key);
  await startFollowing((own) => [
    effectConsumer(own, 'stuck', async (tx, slice) => {
      if (stuck.some(({ id }) => id === tx.actor.tenant_id)) await tx.run(query('lock_wait'), { key });
      await writeEffects(tx, 'stuck', slice);
    }),
    effectConsumer(own, 'free'),
  ]);
  for (const tenant of stuck) await append(tenant, 5);
  const position = await append(other, 5);
  await follows(other, 'stuck', position);
  for (const tenant of stuck) await follows(tenant, 'free', 5);
  for (const tenant of stuck) expect(await effectsOf(tenant, 'stuck')).toEqual([]);
  await release();
  for (const tenant of stuck) await follows(tenant, 'stuck', 5);
});

/** Takes an advisory lock on a connection of its own until it is released. */
async function holdLock(key: number): Promise<() => Promise<void>> {
  const client = new pg.Client({ connectionString: databaseUrl('postgres') });
  await client.connect();
  await client.query('select pg_advisory_lock($1)', [key]);
  return () => client.end();
}
