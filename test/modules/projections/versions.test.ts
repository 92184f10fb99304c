// Versions of a projection, whatever is ordered and in whatever order it comes: what is read is what the entries come to, and what is said
// to be there is there, with no more and no less than its position says.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, inject, test } from 'vitest';
import { z } from 'zod';
import { newUuid } from '../../../src/id.ts';
import { balances } from '../../../src/modules/projections/balances.ts';
import { maybeApplySlice, maybeSwap, startRebuilds } from '../../../src/modules/projections/rebuilds.ts';
import { dropVersions, sweepVersions } from '../../../src/modules/projections/versions.ts';
import { asRole, asSuperuser, database } from '../../support/database.ts';
import { seed } from '../../support/dice.ts';
import { anAccount, aPlatformKey, aTenant, aTransaction, type TestTenant } from '../../support/factories.ts';
import { startServer } from '../../support/server.ts';
import { root } from '../../support/source.ts';
import { waitFor } from '../../support/wait.ts';
import { balancesOf, differencesOf, pathOf, rebuildBalances } from './rebuilding.ts';

/** Follows no log: each slice is a step of the test. */
const server = await startServer({ CONSUMERS: 'off' });
const platform = server.client(await aPlatformKey());

const BalanceSchema = z.looseObject({ posted: z.looseObject({ balance: z.string() }) });
const CountedSchema = z.object({ version: z.number(), found: z.string(), expected: z.string() });
const orders = {
  rebuild: ['rebuilds', { projections: ['balances'] }],
  rebuild_kept: ['rebuilds', { projections: ['balances'], from: 'kept' }],
  cancel: ['rebuild_cancellations', { projection: 'balances' }],
  drop_kept: ['drops', { projection: 'balances' }],
  drop_all: ['drops', { projection: 'balances', versions: 'all' }],
} as const;
type Order = keyof typeof orders;

/** What is to be said of the versions. */
interface Versions {
  read: number;
  kept: number | null;
  built: number | null;
}

const order_names = ['rebuild', 'rebuild_kept', 'cancel', 'drop_kept', 'drop_all'] as const;
const steps = [
  'post',
  'follow',
  'order_of_all_kept',
  'build',
  'build',
  'swap',
  'sweep',
  ...order_names,
] as const;
const stepArbitrary = fc.tuple(fc.constantFrom(...steps), fc.integer({ min: 1, max: 12 }));
type Step = readonly [(typeof steps)[number], number];

const post: Step = ['post', 1];
const rebuilt: Step[] = [
  ['build', 12],
  ['swap', 1],
];
const all_dropped_then_kept: Step[] = [
  ...[post, post, post],
  ['follow', 12],
  ['rebuild', 1],
  ...rebuilt,
  ['drop_kept', 1],
  ['drop_all', 1],
  ['rebuild_kept', 1],
  ...rebuilt,
];
const dropped_before_any_rebuild: Step[] = [
  post,
  ['follow', 12],
  ['order_of_all_kept', 1],
  ['drop_all', 1],
  post,
  ['rebuild_kept', 1],
  ...rebuilt,
];

/** Plays steps on a tenant of its own, and looks after each. */
async function play(played: readonly Step[]): Promise<void> {
  const tenant = await aTenant();
  const api = server.client(tenant.api_key);
  const [debit, credit] = [await anAccount(api, { type: 'asset' }), await anAccount(api)];
  const expected: Versions = { read: 1, kept: null, built: null };
  const given = new Set([1]);
  let count = 0;

  /** Answers the problem that it is refused with; null when it is taken. */
  const refusalOf = (name: Order): string | null => {
    if (name === 'cancel') return expected.built === null ? 'rebuild_not_running' : null;
    if (expected.built !== null) return 'rebuild_running';
    const needs_kept = name === 'rebuild_kept' || name === 'drop_kept';
    return needs_kept && expected.kept === null ? 'version_not_kept' : null;
  };
  /** The number of a version that there has never been. */
  const aNew = (version: number | undefined): number => {
    const number = version ?? 0;
    expect(given).not.toContain(number);
    given.add(number);
    return number;
  };
  const begun = async (from_kept: boolean) => {
    const { rebuild } = await balancesOf(platform, tenant);
    expected.built = from_kept ? expected.kept : aNew(rebuild?.version);
    expected.kept = null;
  };
  const order = async (name: Order) => {
    const [what, body] = orders[name];
    const refusal = refusalOf(name);
    const answer = await platform.post(`${pathOf(tenant)}/projection_${what}`, body);
    if (refusal !== null) return expect(answer.body).toMatchObject({ status: 409, code: refusal });
    expect(answer.status, answer.text).toBe(201);
    if (name === 'rebuild' || name === 'rebuild_kept') return begun(name === 'rebuild_kept');
    if (name === 'cancel') [expected.kept, expected.built] = [expected.built, null];
    else expected.kept = null;
    if (name === 'drop_all' && (await hasBeenFollowed(tenant))) {
      expected.read = aNew((await balancesOf(platform, tenant)).version);
    }
  };

  for (const [step, size] of played) {
    const { rebuild } = await balancesOf(platform, tenant);
    const running = { projection: balances, number: rebuild?.number ?? 0, version: rebuild?.version ?? 0 };
    if (step === 'post') {
      await aTransaction(api, { debit: debit.id, credit: credit.id, amount: '100' });
      count += 1;
    } else if (step === 'follow') {
      const values = { tenant_id: tenant.id, consumer: balances.name, limit: size };
      await database.call(balances.apply, values, z.unknown());
    } else if (step === 'build') {
      await database.transaction(tenant.actor, (tx) => maybeApplySlice(tx, running, size));
    } else if (step === 'swap') {
      await database.transaction(tenant.actor, (tx) => maybeSwap(tx, running));
      if (expected.built !== null)
        [expected.read, expected.kept, expected.built] = [expected.built, expected.read, null];
    } else if (step === 'order_of_all_kept') {
      const refusal = refusalOf('rebuild_kept');
      await orderKept(tenant);
      if (refusal === null) await begun(true);
    } else if (step === 'sweep') await sweepVersions(database, tenant.id, balances);
    else await order(step);
    await look(step);
  }

  async function look(step: string): Promise<void> {
    const state = await balancesOf(platform, tenant);
    const is_running = state.rebuild?.status === 'running';
    const built = is_running ? state.rebuild : null;
    const told = { read: state.version, kept: state.kept?.version ?? null, built: built?.version ?? null };
    expect([step, told]).toEqual([step, expected]);
    const said = [state, state.kept, built].filter((each) => each !== null);
    const counted = await asSuperuser(
      CountedSchema,
      `select said.version, coalesce(sum(balances_v.entry_count), 0)::text as found,
         (select count(*) from ledger.entry where entry.tenant_id = $1 and entry.position <= said.position)::text as expected
       from unnest($2::integer[], $3::bigint[]) said(version, position)
       left join projection.balances_v on balances_v.tenant_id = $1 and balances_v.version = said.version
       group by said.version, said.position`,
      [tenant.id, said.map(({ version }) => version), said.map(({ position }) => position)],
    );
    expect(counted).toHaveLength(said.length);
    for (const each of counted) expect([step, each.found]).toEqual([step, each.expected]);
    if (step === 'sweep') {
      const versions = said.map(({ version }) => version);
      const left = await asSuperuser(
        z.unknown(),
        'select version from projection.balances_v where tenant_id = $1 and not version = any ($2)',
        [tenant.id, versions],
      );
      expect(left).toEqual([]);
    }
    const { posted } = (await api.get(`/v1/accounts/${credit.id}/balance`)).as(BalanceSchema);
    expect([step, posted.balance]).toEqual([step, String(100 * count)]);
    expect(await database.call(balances.recount, { tenant_id: tenant.id }, z.unknown())).toEqual([]);
  }
}

/** As an order for all tenants does in one of them. */
function orderKept(tenant: TestTenant) {
  const order = { order_id: newUuid(), from_kept: true, stops_on_difference: false };
  return database.transaction(tenant.actor, (tx) => startRebuilds(tx, [balances], order));
}

async function hasBeenFollowed(tenant: TestTenant): Promise<boolean> {
  const text = "select 1 from log.consumer where tenant_id = $1 and name = 'balances'";
  return (await asSuperuser(z.unknown(), text, [tenant.id])).length > 0;
}

test(`whatever is rebuilt, kept, canceled and dropped, what is read is right and what is told is there (seed ${seed})`, async () => {
  const examples: [Step[]][] = [[all_dropped_then_kept], [dropped_before_any_rebuild]];
  await fc.assert(
    fc.asyncProperty(fc.array(stepArbitrary, { minLength: 20, maxLength: 40 }), (played) => play(played)),
    // A sequence is short enough to be read; to shorten it takes minutes.
    { seed, examples, endOnFailure: true, numRuns: examples.length + 2 * inject('fault_rounds') },
  );
}, 600_000);

test('a rebuild that is asked for while all versions are dropped waits, and finds none kept', async () => {
  const tenant = await aTenant();
  const api = server.client(tenant.api_key);
  const [debit, credit] = [await anAccount(api, { type: 'asset' }), await anAccount(api)];
  await aTransaction(api, { debit: debit.id, credit: credit.id, amount: '100' });
  const values = { tenant_id: tenant.id, consumer: balances.name, limit: 100 };
  await database.call(balances.apply, values, z.unknown());
  const started = await database.transaction(tenant.actor, async (tx) => {
    await dropVersions(tx, balances, { version: 1, kept_version: null });
    const order = orderKept(tenant);
    await waitFor('it waits', async () => {
      const waiting =
        "select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";
      return (await asSuperuser(z.unknown(), waiting)).length > 0;
    });
    return { order };
  });
  expect(await started.order).toMatchObject([{ outcome: 'not_kept' }]);
  expect(await balancesOf(platform, tenant)).toMatchObject({ version: 2, kept: null, rebuild: null });
  await rebuildBalances(platform, tenant);
  expect(await balancesOf(platform, tenant)).toMatchObject({ version: 2, rebuild: { version: 3 } });
  expect(await differencesOf(platform, tenant)).toBe(0);
});

test('a drop that is repeated when its version is read again says and does nothing', async () => {
  const tenant = await aTenant();
  await rebuildBalances(platform, tenant);
  const swap = (number: number, version: number) =>
    database.transaction(tenant.actor, (tx) => maybeSwap(tx, { projection: balances, number, version }));
  const dropKept = (kept_version: number) =>
    database.transaction(tenant.actor, async (tx) => {
      await dropVersions(tx, balances, { version: null, kept_version });
      return tx.appended;
    });
  expect(await swap(1, 2)).toBe('swapped');
  await rebuildBalances(platform, tenant, { from: 'kept' });
  expect(await swap(2, 1)).toBe('swapped');
  expect(await dropKept(2)).not.toBeNull();
  expect(await balancesOf(platform, tenant)).toMatchObject({ version: 1, kept: null });
  expect(await dropKept(1)).toBeNull();
});

test('a database in which dropped versions pass for kept is put right, and what is kept stays', async () => {
  const asked = [await aTenant(), await aTenant(), await aTenant(), await aTenant()] as const;
  const [swapped, canceled, never, running] = asked;
  const stands = (tenant: TestTenant, name: string, version: number) =>
    asSuperuser(
      z.unknown(),
      `insert into log.consumer (tenant_id, name, version, position, recorded_at, moved_at)
       values ($1, $2, $3, 0, '-infinity', now())
       on conflict (tenant_id, name) do update set version = excluded.version`,
      [tenant.id, name, version],
    );
  for (const tenant of [swapped, canceled, running]) await rebuildBalances(platform, tenant);
  const rebuild = { projection: balances, number: 1, version: 2 };
  await database.transaction(swapped.actor, (tx) => maybeSwap(tx, rebuild));
  const cancel = { projection: 'balances' };
  await platform.post(`${pathOf(canceled)}/projection_rebuild_cancellations`, cancel);
  // As versions were left that had been read when none was kept.
  await stands(swapped, 'balances', 3);
  await stands(swapped, 'balances:rebuild', 2);
  await stands(never, 'balances', 2);
  await stands(never, 'balances:rebuild', 1);
  const kept = async () => {
    const states = await Promise.all(asked.map((tenant) => balancesOf(platform, tenant)));
    return states.map((state) => state.kept?.version ?? null);
  };
  expect(await kept()).toEqual([2, 2, 1, null]);
  const migration = readFileSync(join(root, 'sql/migrations/0018_dropped_versions.sql'), 'utf8');
  await asRole('lattice_owner', z.unknown(), migration);
  expect(await kept()).toEqual([null, 2, null, null]);
  expect(await balancesOf(platform, running)).toMatchObject({ version: 1, rebuild: { status: 'running' } });
  await platform.post(`${pathOf(running)}/projection_rebuild_cancellations`, cancel);
  await asRole('lattice_owner', z.unknown(), migration);
  expect(await kept()).toEqual([null, 2, null, 2]);
});
