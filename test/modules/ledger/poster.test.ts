// Two processes post for the same tenants, each with what it remembers of their logs: what one does, the other must find out in time.
import pg from 'pg';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { decodeId, newUuid } from '../../../src/id.ts';
import { closeAccount, createAccount, lockAccount } from '../../../src/modules/ledger/accounts.ts';
import type { Command, Outcome } from '../../../src/modules/ledger/command.ts';
import { LimitedBalances } from '../../../src/modules/ledger/limited_balances.ts';
import type { Poster } from '../../../src/modules/ledger/poster.ts';
import { asSuperuser, database, databaseUrl } from '../../support/database.ts';
import type { TestTenant } from '../../support/factories.ts';
import { waitFor } from '../../support/wait.ts';
import { aBook, command, newPoster, payment, statusOf } from './books.ts';

function submit(
  poster: Poster,
  tenant: TestTenant,
  order: Command['order'],
  key_hash = newUuid(),
): Promise<Outcome> {
  return poster.submit(tenant.id, command(tenant, order, key_hash));
}

function pay(
  poster: Poster,
  tenant: TestTenant,
  amount: number,
  more: Parameters<typeof payment>[2] = {},
): Promise<Outcome> {
  return poster.submit(tenant.id, payment(tenant, amount, more));
}

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

test('limits are met to the cent on balances that a process learnt before anybody asked for them', async () => {
  const tenant = await aBook();
  const wallets = Array.from({ length: 80 }, (_, index) => `wallet-${index}`);
  await database.transaction(tenant.actor, async (tx) => {
    for (const code of wallets) {
      const limits = { available_min: '0' };
      await createAccount(tx, { code, type: 'liability', currency: 'EUR', limits });
    }
  });
  const [one, two] = [newPoster(), newPoster()];
  await Promise.all(wallets.map((wallet) => pay(one, tenant, 50, { wallet })));
  await pay(one, tenant, -20, { wallet: 'wallet-7', status: 'pending' });
  // The other process begins here, learns balances with each batch, and changes some of them with the same batch.
  for (let round = 0; round < 5; round += 1) {
    await Promise.all(['wallet', 'wallet-1', 'wallet-2'].map((wallet) => pay(two, tenant, 1, { wallet })));
  }
  const expected = new Map([
    ['wallet', 5],
    ['wallet-1', 55],
    ['wallet-2', 55],
    ['wallet-7', 30],
  ]);
  const payAll = (extra: number) =>
    Promise.all(
      [...expected.keys(), ...wallets.slice(10)].map(async (wallet) =>
        statusOf(await pay(two, tenant, -((expected.get(wallet) ?? 50) + extra), { wallet })),
      ),
    );
  expect(new Set(await payAll(1))).toEqual(new Set([422]));
  expect(new Set(await payAll(0))).toEqual(new Set([201]));
});

test('an account that was closed elsewhere takes no more postings, and other tenants do not notice', async () => {
  const [tenant, other] = [await aBook(), await aBook()];
  const poster = newPoster();
  await Promise.all([pay(poster, tenant, 1), pay(poster, other, 1)]);
  await database.transaction(tenant.actor, async (tx) => closeAccount(tx, await lockAccount(tx, 'wallet')));
  const outcomes = await Promise.all([pay(poster, tenant, 1), pay(poster, other, 1)]);
  expect(outcomes.map(statusOf)).toEqual([422, 201]);
});

test('a position is taken once, though another process recorded one by a clock that was days ahead', async () => {
  const tenant = await aBook();
  const poster = newPoster();
  const first = positionOf(await pay(poster, tenant, 1));
  await asSuperuser(
    z.unknown(),
    `insert into log.event (tenant_id, position, id, type, subject_id, data, actor_id, request_id, occurred_at, recorded_at)
     select tenant_id, position + 1, $3, 'test.done', subject_id, '{}', actor_id, request_id, occurred_at, recorded_at + interval '3 days'
     from log.event where tenant_id = $1 and position = $2`,
    [tenant.id, first, newUuid()],
  );
  expect(positionOf(await pay(poster, tenant, 1))).toBe(first + 2);
});

test('a tenant whose lock is held for long keeps the others waiting for about a second', async () => {
  const [held, free] = [await aBook(), await aBook()];
  const poster = newPoster();
  await Promise.all([pay(poster, held, 1), pay(poster, free, 1)]);
  const session = new pg.Client({ connectionString: databaseUrl('postgres') });
  await session.connect();
  try {
    await session.query('begin');
    await session.query('select pg_advisory_xact_lock(hashtextextended($1::text, 7461))', [held.id]);
    const waiting = pay(poster, held, 1);
    const began_ms = performance.now();
    expect(statusOf(await pay(poster, free, 1))).toBe(201);
    expect(performance.now() - began_ms).toBeLessThan(6_000);
    await session.query('rollback');
    expect(statusOf(await waiting)).toBe(201);
  } finally {
    await session.end();
  }
});

test('a hold that is asked to expire before its end, by a clock that is put back, expires at its end all the same', async () => {
  const tenant = await aBook();
  const poster = newPoster();
  await pay(poster, tenant, 50);
  const held = await pay(poster, tenant, -10, { status: 'pending', expires_in_seconds: 3 });
  if (held.state !== 'answered') throw held.problem;
  const target_id = decodeId('transaction', JSON.parse(held.body).id, '#/id');
  const key_hash = newUuid();
  const expire = () =>
    submit(poster, tenant, { kind: 'expiry', target_id, pointer: '#/path/transaction' }, key_hash);
  expect(statusOf(await expire())).toBe('unavailable');
  await waitFor('it has ended', async () => statusOf(await expire()) === 200);
});

test('a group with a hold that ends while its tenant is waited for is refused, and holds up nobody', async () => {
  const tenant = await aBook();
  const poster = newPoster();
  await pay(poster, tenant, 1);
  await pay(poster, tenant, -1);
  const session = new pg.Client({ connectionString: databaseUrl('postgres') });
  await session.connect();
  try {
    await session.query('begin');
    await session.query('select pg_advisory_xact_lock(hashtextextended($1::text, 7461))', [tenant.id]);
    const ends_ms = Date.now() + 500;
    const hold = payment(tenant, 1, { status: 'pending', expires_at: new Date(ends_ms).toISOString() });
    // What is known says that there is not as much, so the group goes by itself.
    const group = poster.submitAtomic(tenant.id, [hold, payment(tenant, -1_000)]);
    await waitFor('it waits for the lock', async () => {
      const [waiting] = await asSuperuser(
        z.object({ count: z.number() }),
        `select count(*)::integer as count from pg_locks join pg_stat_activity using (pid)
         where datname = current_database() and locktype = 'advisory' and not granted`,
      );
      return waiting?.count === 1;
    });
    await waitFor('the hold has ended', () => Date.now() > ends_ms + 50);
    await session.query('rollback');
    expect((await group).map(statusOf)).toContain('expiry_in_past');
  } finally {
    await session.end();
  }
  expect(statusOf(await pay(poster, tenant, 1))).toBe(201);
});

test('what is remembered of logs has a bound, and the tenants that posted last are kept', () => {
  const balances = new LimitedBalances();
  const nothing = { recorded_at: '2026-01-01T00:00:00Z', accounts_position: 0, drafts: [] };
  const tenant_ids = Array.from({ length: 100_001 }, (_, number) => `tenant ${number}`);
  for (const tenant_id of tenant_ids) {
    balances.begin(tenant_id, { ...nothing, position: 1, event_id: newUuid(), found: new Map() });
  }
  expect(balances.maybeKnown('tenant 0')).toBeNull();
  expect(balances.maybeKnown('tenant 1')).toMatchObject({ position: 1 });
});
