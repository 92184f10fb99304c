// Two processes post for the same tenants, each with what it remembers of their logs: what one does, the other must find out in time.
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { newUuid } from '../../../src/id.ts';
import { AccountCache } from '../../../src/modules/ledger/account_cache.ts';
import { closeAccount, createAccount, lockAccount } from '../../../src/modules/ledger/accounts.ts';
import type { Outcome } from '../../../src/modules/ledger/command.ts';
import { Poster } from '../../../src/modules/ledger/poster.ts';
import { database } from '../../support/database.ts';
import { aTenant, type TestTenant } from '../../support/factories.ts';

const newPoster = () => new Poster(database, new AccountCache(database), new Registry());

/** A tenant with two accounts; `wallet` may not fall below zero. */
async function aBook(): Promise<TestTenant> {
  const tenant = await aTenant();
  await database.transaction(tenant.actor, async (tx) => {
    await createAccount(tx, { code: 'bank', type: 'asset', currency: 'EUR' });
    const limits = { available_min: '0' };
    await createAccount(tx, { code: 'wallet', type: 'liability', currency: 'EUR', limits });
  });
  return tenant;
}

/** Moves an amount into the wallet, or out of it when it is negative. */
function pay(poster: Poster, tenant: TestTenant, amount: number): Promise<Outcome> {
  const [debit, credit] = amount > 0 ? ['bank', 'wallet'] : ['wallet', 'bank'];
  const entries = [
    { account: debit, direction: 'debit' as const, amount: `${Math.abs(amount)}` },
    { account: credit, direction: 'credit' as const, amount: `${Math.abs(amount)}` },
  ];
  const origin = {
    actor_id: tenant.actor.actor_id,
    request_id: 'req_test',
    instance: '/v1/transactions',
    key_hash: newUuid(),
    request_hash: newUuid(),
  };
  return poster.submit(tenant.id, { origin, order: { kind: 'post', request: { entries } } });
}

const statusOf = (outcome: Outcome) => (outcome.state === 'answered' ? outcome.status : outcome.problem.code);

function positionOf(outcome: Outcome): number {
  if (outcome.state !== 'answered') throw outcome.problem;
  return JSON.parse(outcome.body).position;
}

test('postings of two processes for several tenants come to dense positions, each once', async () => {
  const tenants = [await aBook(), await aBook(), await aBook()];
  const posters = [newPoster(), newPoster()];
  const begun = await Promise.all(tenants.map((tenant) => pay(newPoster(), tenant, 1).then(positionOf)));
  const positions = tenants.map((): number[] => []);
  for (let round = 0; round < 20; round += 1) {
    const posted = await Promise.all(
      posters.flatMap((poster) =>
        tenants.flatMap((tenant, index) =>
          [1, 2].map(async () => ({ index, position: positionOf(await pay(poster, tenant, 1)) })),
        ),
      ),
    );
    for (const { index, position } of posted) positions[index]?.push(position);
  }
  positions.forEach((each, index) => {
    const first = (begun[index] ?? 0) + 1;
    expect(each.sort((a, b) => a - b)).toEqual(Array.from({ length: 80 }, (_, number) => first + number));
  });
});

test('a limit holds against money that another process has moved since', async () => {
  const [tenant, other] = [await aBook(), await aBook()];
  const [one, two] = [newPoster(), newPoster()];
  // Both now know the balance of both wallets.
  for (const poster of [one, two]) {
    for (const each of [tenant, other]) {
      await pay(poster, each, 50);
      await pay(poster, each, -1);
    }
  }
  expect(statusOf(await pay(one, tenant, -90))).toBe(201);
  const outcomes = await Promise.all([pay(two, tenant, -90), pay(two, other, -90)]);
  expect(outcomes.map(statusOf)).toEqual([422, 201]);
});

test('an account that was closed elsewhere takes no more postings, and other tenants do not notice', async () => {
  const [tenant, other] = [await aBook(), await aBook()];
  const poster = newPoster();
  await Promise.all([pay(poster, tenant, 1), pay(poster, other, 1)]);
  await database.transaction(tenant.actor, async (tx) => closeAccount(tx, await lockAccount(tx, 'wallet')));
  const outcomes = await Promise.all([pay(poster, tenant, 1), pay(poster, other, 1)]);
  expect(outcomes.map(statusOf)).toEqual([422, 201]);
});
