// What tests of rebuilds have in common: a platform's client, and the words it has for a tenant's projections.
import { expect } from 'vitest';
import { z } from 'zod';
import { encodeId } from '../../../src/id.ts';
import type { Client } from '../../support/client.ts';
import { asSuperuser } from '../../support/database.ts';
import { anAccount, aTransaction, type TestTenant } from '../../support/factories.ts';
import { waitFor } from '../../support/wait.ts';

const StateSchema = z.looseObject({
  name: z.string(),
  version: z.number(),
  position: z.number(),
  head_position: z.number(),
  lag_events: z.number(),
  kept: z.object({ version: z.number(), position: z.number() }).nullable(),
  rebuild: z
    .looseObject({
      number: z.number(),
      version: z.number(),
      status: z.string(),
      position: z.number(),
      progress: z.number(),
      difference_count: z.number().nullable(),
    })
    .nullable(),
});
export const StatesSchema = z.object({ data: z.array(StateSchema) });
const DifferencesSchema = z.object({ data: z.array(z.looseObject({ difference_count: z.number() })) });
const EventsSchema = z.object({ data: z.array(z.looseObject({ type: z.string(), data: z.unknown() })) });

export const pathOf = (tenant: TestTenant) => `/v1/tenants/${encodeId('tenant', tenant.id)}`;

export async function balancesOf(platform: Client, tenant: TestTenant) {
  const { data } = (await platform.get(`${pathOf(tenant)}/projections`)).as(StatesSchema);
  const found = data.find(({ name }) => name === 'balances');
  if (found === undefined) throw new Error('there are no balances');
  return found;
}

export async function rebuildBalances(
  platform: Client,
  tenant: TestTenant,
  body: Record<string, unknown> = {},
): Promise<void> {
  const answer = await platform.post(`${pathOf(tenant)}/projection_rebuilds`, {
    projections: ['balances'],
    ...body,
  });
  expect(answer.status, answer.text).toBe(201);
}

/** The balances, once nothing is rebuilt any longer. */
export async function rebuilt(platform: Client, tenant: TestTenant) {
  return waitFor(
    'the rebuild has ended',
    async () => {
      const state = await balancesOf(platform, tenant);
      return state.rebuild?.status === 'running' ? null : state;
    },
    { timeout_ms: 60_000, interval_ms: 50 },
  );
}

export async function differencesOf(platform: Client, tenant: TestTenant): Promise<number> {
  const path = `${pathOf(tenant)}/projection_differences?projection=balances`;
  const [found] = (await platform.get(path)).as(DifferencesSchema).data;
  return found?.difference_count ?? -1;
}

export async function versionsIn(table: string, tenant: TestTenant): Promise<number[]> {
  const rows = await asSuperuser(
    z.object({ version: z.number() }),
    `select distinct version from projection.${table} where tenant_id = $1 order by version`,
    [tenant.id],
  );
  return rows.map(({ version }) => version);
}

/** What the tenant's log says of its projections, in order. */
export async function eventsOf(api: Client): Promise<string[]> {
  const types = ['started', 'swapped', 'canceled', 'failed'].map((what) => `projections.rebuild_${what}`);
  const events = await api.get(`/v1/events?types=${[...types, 'projections.projection_dropped'].join(',')}`);
  return events.as(EventsSchema).data.map(({ type }) => type.replace('projections.', ''));
}

/** Posts one after the other and reads after each, until told to stop: each read has to be exact. Answers how many there were. */
export function postAndRead(api: Client): { stop: () => Promise<number> } {
  let stopped = false;
  const BalanceSchema = z.looseObject({ posted: z.looseObject({ balance: z.string() }) });
  const run = async () => {
    const debit = await anAccount(api, { type: 'asset' });
    const credit = await anAccount(api);
    let count = 0;
    for (; !stopped; count += 1) {
      await aTransaction(api, { debit: debit.id, credit: credit.id, amount: '100' });
      const read = await api.get(`/v1/accounts/${credit.id}/balance`);
      expect(read.as(BalanceSchema).posted.balance).toBe(String(100 * (count + 1)));
    }
    return count;
  };
  // Whoever stops it hears of a failure.
  const running = Promise.allSettled([run()]);
  return {
    stop: async () => {
      stopped = true;
      const [outcome] = await running;
      if (outcome.status === 'rejected') throw outcome.reason;
      return outcome.value;
    },
  };
}
