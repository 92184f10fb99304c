// Calls of the group commit that are sent behind one another: each is prepared on what is expected of those before it, and none of that
// holds when one of them fails.
import { expect, test } from 'vitest';
import { z } from 'zod';
import { newUuid } from '../../../src/id.ts';
import { AccountCache } from '../../../src/modules/ledger/account_cache.ts';
import { createAccount } from '../../../src/modules/ledger/accounts.ts';
import { LimitedBalances } from '../../../src/modules/ledger/limited_balances.ts';
import { postBatches } from '../../../src/modules/ledger/posting_batch.ts';
import { batchCommand, prepareSteps } from '../../../src/modules/ledger/steps.ts';
import { asSuperuser, database } from '../../support/database.ts';
import type { TestTenant } from '../../support/factories.ts';
import { aBook, command, newPoster, payment, statusOf } from './books.ts';

const CountSchema = z.object({ count: z.number() });
const HeadSchema = z.object({ position: z.number(), id: z.string(), recorded_at: z.string() });
const WalletSchema = z.object({ id: z.string() });
const LineSchema = z.object({ direction: z.string(), amount: z.string() });

/** The lowest that the wallet ever stood at, and where it stands. */
async function balancesOf(tenant: TestTenant): Promise<{ lowest: bigint; last: bigint }> {
  const lines = await asSuperuser(
    LineSchema,
    `select entry.direction::text, entry.amount::text
     from ledger.entry join ledger.account on account.tenant_id = entry.tenant_id and account.id = entry.account_id
     where entry.tenant_id = $1 and account.code = 'wallet'
     order by entry.position`,
    [tenant.id],
  );
  let last = 0n;
  let lowest = 0n;
  for (const { direction, amount } of lines) {
    last += direction === 'credit' ? BigInt(amount) : -BigInt(amount);
    if (last < lowest) lowest = last;
  }
  return { lowest, last };
}

async function headOf(tenant: TestTenant) {
  const [head] = await asSuperuser(
    HeadSchema,
    `select position::integer, id::text, recorded_at::text from log.event where tenant_id = $1 order by position desc limit 1`,
    [tenant.id],
  );
  if (head === undefined) throw new Error('a log without events');
  return head;
}

test('hundreds of payments at once of two processes never overdraw a wallet, and each is posted or refused once', async () => {
  const tenants = await Promise.all([aBook(), aBook(), aBook()]);
  const posters = [newPoster(), newPoster()];
  for (const tenant of tenants) await posters[0]?.submit(tenant.id, payment(tenant, 40));
  const sums = tenants.map(() => 40n);
  let refused = 0;
  const send = async (number: number) => {
    const index = number % tenants.length;
    const tenant = tenants[index];
    const poster = posters[number % posters.length];
    if (tenant === undefined || poster === undefined) throw new Error('nobody pays');
    // Every ninth has a reference that others have too, so that calls fail which others were sent behind.
    const reference = number % 9 === 0 ? `r-${number % 27}` : undefined;
    const amount = number % 4 === 0 ? 3 : -1;
    const outcome = await poster.submit(
      tenant.id,
      payment(tenant, amount, reference === undefined ? {} : { reference }),
    );
    const status = statusOf(outcome);
    if (status === 201) {
      sums[index] = (sums[index] ?? 0n) + BigInt(amount);
      return;
    }
    expect(reference === undefined ? [422] : [422, 409]).toContain(status);
    refused += 1;
  };
  // Events that move no money come between.
  const openAccounts = async (tenant: TestTenant) => {
    for (let number = 0; number < 40; number += 1) {
      await database.transaction(tenant.actor, (tx) =>
        createAccount(tx, { code: `other-${number}`, type: 'asset', currency: 'EUR' }),
      );
    }
  };
  // A crowd of 200, each with its next payment when the last is answered.
  await Promise.all([
    ...tenants.map(openAccounts),
    ...Array.from({ length: 200 }, async (_, first) => {
      for (let number = first; number < 2_000; number += 200) await send(number);
    }),
  ]);
  expect(refused).toBeGreaterThan(100);
  for (const [index, tenant] of tenants.entries()) {
    expect(await balancesOf(tenant)).toEqual({ lowest: 0n, last: sums[index] });
  }
});

test('atomic groups of many at once never overdraw a wallet, and each is posted as a whole or not at all', async () => {
  const tenants = await Promise.all([aBook(), aBook()]);
  const posters = [newPoster(), newPoster()];
  for (const tenant of tenants) await posters[0]?.submit(tenant.id, payment(tenant, 300));
  const sums = tenants.map(() => 300n);
  let refused = 0;
  const send = async (number: number) => {
    const index = number % tenants.length;
    const tenant = tenants[index];
    const poster = posters[(number >> 1) % posters.length];
    if (tenant === undefined || poster === undefined) throw new Error('nobody pays');
    const amount = number % 5 === 0 ? 3 : -2;
    const group = Array.from({ length: 20 }, () => payment(tenant, amount));
    // Some take a reference that others have too, so that calls fail which others were sent behind.
    if (number % 7 === 0) group.push(payment(tenant, amount, { reference: `r-${number % 21}` }));
    const mark = command(tenant, { kind: 'answer', status: 201, body: '{}' });
    const outcomes = await poster.submitAtomic(tenant.id, [...group, mark]);
    const statuses = new Set(outcomes.map(statusOf));
    if (outcomes.every(({ state }) => state === 'answered')) {
      expect(statuses).toEqual(new Set([201]));
      sums[index] = (sums[index] ?? 0n) + BigInt(amount * group.length);
      return;
    }
    expect(statuses.has('insufficient_funds') || statuses.has('reference_taken')).toBe(true);
    refused += 1;
  };
  const single = async (tenant: TestTenant) => {
    const outcome = await posters[0]?.submit(tenant.id, payment(tenant, 1));
    expect(outcome === undefined ? null : statusOf(outcome)).toBe(201);
    const index = tenants.indexOf(tenant);
    sums[index] = (sums[index] ?? 0n) + 1n;
  };
  await Promise.all([
    ...tenants.flatMap((tenant) => Array.from({ length: 50 }, () => single(tenant))),
    ...Array.from({ length: 24 }, async (_, first) => {
      for (let number = first; number < 240; number += 24) await send(number);
    }),
  ]);
  expect(refused).toBeGreaterThan(20);
  for (const [index, tenant] of tenants.entries()) {
    expect(await balancesOf(tenant)).toEqual({ lowest: 0n, last: sums[index] });
  }
});

test('a group waits for a few groups of other tenants, and not until those have no more', async () => {
  const poster = newPoster();
  const tenants = await Promise.all(Array.from({ length: 4 }, aBook));
  const postGroup = async (tenant: TestTenant) => {
    const outcomes = await poster.submitAtomic(
      tenant.id,
      Array.from({ length: 100 }, () => payment(tenant, 1)),
    );
    expect(new Set(outcomes.map(statusOf))).toEqual(new Set([201]));
  };
  // Opened before the others flood, or they may have no more by the time it is.
  const late = await aBook();
  const left = tenants.map(() => 30);
  const floods = tenants.flatMap((tenant, index) =>
    Array.from({ length: 30 }, async () => {
      await postGroup(tenant);
      left[index] = (left[index] ?? 0) - 1;
    }),
  );
  await postGroup(late);
  expect(Math.min(...left)).toBeGreaterThan(0);
  await Promise.all(floods);
  expect(left).toEqual([0, 0, 0, 0]);
});

test('the same key in two calls that are on their way is posted once, and answered twice', async () => {
  const tenant = await aBook();
  const poster = newPoster();
  await poster.submit(tenant.id, payment(tenant, 1));
  const keys = Array.from({ length: 300 }, () => newUuid());
  const twice = [...keys, ...keys].map((key_hash) =>
    poster.submit(tenant.id, payment(tenant, 1, {}, key_hash)),
  );
  const outcomes = await Promise.all(twice);
  expect(new Set(outcomes.map(statusOf))).toEqual(new Set([201]));
  keys.forEach((_, index) => {
    expect(outcomes[index + keys.length]).toEqual({ ...outcomes[index], replayed: true });
  });
  expect(await balancesOf(tenant)).toMatchObject({ last: 301n });
});

test('what is known of balances does not hold when another event has the position of the one it is known as of', async () => {
  const tenant = await aBook();
  await newPoster().submit(tenant.id, payment(tenant, 5));
  const accounts = new AccountCache(database);
  const { steps, accounts_position } = await prepareSteps(
    { database, accounts },
    tenant.id,
    [payment(tenant, -100)],
    false,
  );
  const batch = {
    tenant_id: tenant.id,
    accounts_position,
    commands: steps.map(batchCommand),
    learning: [],
    atomic: false,
    dry_run: false,
  };
  const [wallet] = await asSuperuser(
    WalletSchema,
    `select id::text from ledger.account where tenant_id = $1 and code = 'wallet'`,
    [tenant.id],
  );
  const head = await headOf(tenant);
  for (const position of [head.position, head.position + 1]) {
    // As if batches had been expected that did not come, and somebody else had posted meanwhile, or nobody.
    const balances = new LimitedBalances();
    balances.begin(tenant.id, {
      position,
      event_id: newUuid(),
      recorded_at: head.recorded_at,
      accounts_position,
      found: new Map([[wallet?.id ?? '', 1_000n]]),
      drafts: [],
    });
    const results = await postBatches({ database, balances }, [batch], 0);
    expect(results.get(batch)).toBeNull();
    expect(balances.maybeKnown(tenant.id)).toBeNull();
  }
  expect(await headOf(tenant)).toEqual(head);
  const [keys] = await asSuperuser(
    CountSchema,
    'select count(*)::integer from log.idempotency_key where tenant_id = $1 and key_hash = $2',
    [tenant.id, batch.commands[0]?.key_hash],
  );
  expect(keys).toEqual({ count: 0 });
});
