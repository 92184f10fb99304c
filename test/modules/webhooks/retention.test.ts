// The delivery log is kept for so many days, and what is pending for as long as it is pending.
import { expect, test } from 'vitest';
import { z } from 'zod';
import { pruneDeliveries } from '../../../src/modules/webhooks/retention.ts';
import { asSuperuser, database } from '../../support/database.ts';
import { aTenant, type TestTenant } from '../../support/factories.ts';

/** Deliveries of all ages from 0 to `days` days, in turn succeeded, failed and pending; each has two attempts. */
async function deliveries(tenant: TestTenant, days: number): Promise<void> {
  await asSuperuser(
    z.unknown(),
    `with made as (
       insert into webhooks.delivery (
         tenant_id, id, endpoint_id, position, recorded_at, event_id, type, origin, status, attempts, due_at, created_at, finished_at
       )
       select
         $1, (lpad(to_hex($2 - age), 8, '0') || '-0000-7000-8000-000000000000')::uuid, gen_random_uuid(), age + 1, at, gen_random_uuid(),
         'ledger.transaction_posted', 'log', (array['succeeded', 'failed', 'pending'])[age % 3 + 1], 2, at, at,
         case when age % 3 < 2 then at end
       from generate_series(0, $2) age
       cross join lateral (select now() - make_interval(days => age)) made(at)
       returning tenant_id, id
     )
     insert into webhooks.attempt (tenant_id, delivery_id, number, started_at, duration_ms)
     select tenant_id, id, number, now(), 1
     from made, generate_series(1, 2) number`,
    [tenant.id, days],
  );
}

async function left(tenant: TestTenant) {
  const rows = await asSuperuser(
    z.object({ age: z.number(), status: z.string(), attempts: z.number() }),
    `select (delivery.position - 1)::integer as age, delivery.status, count(attempt.number)::integer as attempts
     from webhooks.delivery
     left join webhooks.attempt on attempt.tenant_id = delivery.tenant_id and attempt.delivery_id = delivery.id
     where delivery.tenant_id = $1
     group by delivery.position, delivery.status
     order by 1`,
    [tenant.id],
  );
  return rows;
}

test('what finished long ago goes, with its attempts; what is pending stays, and so does every other tenant', async () => {
  const [tenant, other] = [await aTenant(), await aTenant()];
  await deliveries(tenant, 60);
  await deliveries(other, 60);
  const before = await left(tenant);
  expect(before).toHaveLength(61);
  const kept = before.filter(({ age, status }) => age < 30 || status === 'pending');
  expect(await pruneDeliveries(database, tenant.id, { older_than_days: 30 })).toBe(61 - kept.length);
  expect(await left(tenant)).toEqual(kept);
  expect(kept.every(({ attempts }) => attempts === 2)).toBe(true);
  expect(await left(other)).toEqual(before);
  expect(await pruneDeliveries(database, tenant.id, { older_than_days: 30 })).toBe(0);
  const [orphans] = await asSuperuser(
    z.object({ count: z.number() }),
    `select count(*)::integer as count from webhooks.attempt
     where tenant_id = $1 and not exists (
       select from webhooks.delivery where delivery.tenant_id = attempt.tenant_id and delivery.id = attempt.delivery_id
     )`,
    [tenant.id],
  );
  expect(orphans).toEqual({ count: 0 });
});

test('many are deleted in batches, past any number that is pending', async () => {
  const tenant = await aTenant();
  await deliveries(tenant, 3_500);
  const before = await left(tenant);
  const kept = before.filter(({ age, status }) => age < 30 || status === 'pending');
  expect(await pruneDeliveries(database, tenant.id, { older_than_days: 30 })).toBe(
    before.length - kept.length,
  );
  expect(await left(tenant)).toEqual(kept);
});

test('one that is asked to stop leaves the rest for the next', async () => {
  const tenant = await aTenant();
  await deliveries(tenant, 60);
  const pruning = pruneDeliveries(database, tenant.id, { older_than_days: 30 }, AbortSignal.abort());
  await expect(pruning).rejects.toThrow('aborted');
  expect(await left(tenant)).toHaveLength(61);
});
