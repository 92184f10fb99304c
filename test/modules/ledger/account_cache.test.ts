// The cache of accounts: it knows what exists, says how current it is, and stays within its size.
import { expect, test } from 'vitest';
import { AccountCache } from '../../../src/modules/ledger/account_cache.ts';
import type { Account } from '../../../src/modules/ledger/account_schema.ts';
import {
  closeAccount,
  createAccount,
  lockAccount,
  updateAccount,
} from '../../../src/modules/ledger/accounts.ts';
import { database } from '../../support/database.ts';
import { aTenant, type TestTenant } from '../../support/factories.ts';

async function open(tenant: TestTenant, ...codes: string[]): Promise<Account[]> {
  const accounts: Account[] = [];
  for (const code of codes) {
    const request = { code, type: 'liability', currency: 'EUR' } as const;
    accounts.push(await database.transaction(tenant.actor, (tx) => createAccount(tx, request)));
  }
  return accounts;
}

const close = (tenant: TestTenant, code: string) =>
  database.transaction(tenant.actor, async (tx) => closeAccount(tx, await lockAccount(tx, code)));

test('an account is known by id and by code as the same object', async () => {
  const tenant = await aTenant();
  const [account] = await open(tenant, 'a');
  const cache = new AccountCache(database);
  await cache.load(tenant.id, ['a']);
  const known = cache.resolve(tenant.id, 'a');
  expect(known).toMatchObject({
    account_id: account?.id,
    code: 'a',
    currency: 'EUR',
    scale: 2,
    debit_normal: false,
    status: 'open',
    available_min: null,
    posted_max: null,
    json_head: `{"account_id":"${account?.id}","account_code":"a",`,
    json_tail: '"currency":"EUR","scale":2}',
  });
  expect(cache.resolve(tenant.id, String(account?.id))).toBe(known);
  // Only the database names it by its uuid.
  const uuid = String(known?.id);
  await cache.load(tenant.id, [uuid]);
  expect(cache.resolve(tenant.id, uuid)).toBeUndefined();
});

test('what does not exist is looked up, and found as soon as it does', async () => {
  const tenant = await aTenant();
  await open(tenant, 'a');
  const cache = new AccountCache(database);
  const strange = ['b', 'acc_01h455vb4pex5vsknk084sn02q', 'no:code:', ' ', '\0', '__proto__'];
  await cache.load(tenant.id, ['a', ...strange]);
  for (const reference of strange) expect(cache.resolve(tenant.id, reference)).toBeUndefined();
  await open(tenant, 'b');
  await cache.load(tenant.id, ['b']);
  expect(cache.resolve(tenant.id, 'b')?.code).toBe('b');
});

test("another tenant's account is unknown, by id too", async () => {
  const [tenant, other] = [await aTenant(), await aTenant()];
  const [account] = await open(other, 'a');
  const cache = new AccountCache(database);
  await cache.load(other.id, ['a']);
  await cache.load(tenant.id, ['a', String(account?.id)]);
  expect(cache.resolve(tenant.id, 'a')).toBeUndefined();
  expect(cache.resolve(tenant.id, String(account?.id))).toBeUndefined();
});

test('the accounts that a tenant opened first are known at first sight, as they are now', async () => {
  const [tenant, other] = [await aTenant(), await aTenant()];
  const codes = Array.from({ length: 20 }, (_, index) => `c${index}`);
  for (const each of [tenant, other]) await open(each, ...codes);
  await close(tenant, 'c1');
  const cache = new AccountCache(database, 100);
  await cache.load(tenant.id, ['c19']);
  const known = codes.filter((code) => cache.resolve(tenant.id, code) !== undefined);
  expect(known).toEqual([...codes.slice(0, 10), 'c19']);
  expect(cache.resolve(tenant.id, 'c1')?.status).toBe('closed');
  expect(cache.resolve(other.id, 'c0')).toBeUndefined();
});

test('a cache that is half full reads no account ahead', async () => {
  const [tenant, other] = [await aTenant(), await aTenant()];
  const codes = Array.from({ length: 20 }, (_, index) => `c${index}`);
  for (const each of [tenant, other]) await open(each, ...codes);
  const cache = new AccountCache(database, 30);
  await cache.load(tenant.id, codes);
  await cache.load(other.id, ['c19']);
  expect(codes.filter((code) => cache.resolve(other.id, code) !== undefined)).toEqual(['c19']);
});

test('a change shows in the position that is behind, and after a refresh in the account', async () => {
  const tenant = await aTenant();
  await open(tenant, 'a', 'b');
  const cache = new AccountCache(database);
  await cache.load(tenant.id, ['a', 'b']);
  const before = cache.position(tenant.id);
  const [known, untouched] = [cache.resolve(tenant.id, 'a'), cache.resolve(tenant.id, 'b')];
  await close(tenant, 'a');
  await cache.load(tenant.id, ['a']);
  expect(cache.resolve(tenant.id, 'a')).toBe(known);
  expect(cache.position(tenant.id)).toBe(before);
  await cache.refresh(tenant.id);
  expect(cache.resolve(tenant.id, 'a')?.status).toBe('closed');
  expect(cache.resolve(tenant.id, 'b')).toBe(untouched);
  expect(cache.position(tenant.id)).toBeGreaterThan(before);
  expect(known?.status).toBe('open');
});

test('an account that is loaded late does not hide changes of those loaded before', async () => {
  const tenant = await aTenant();
  await open(tenant, 'a');
  const cache = new AccountCache(database);
  await cache.load(tenant.id, ['a']);
  const before = cache.position(tenant.id);
  await close(tenant, 'a');
  await open(tenant, 'b');
  await cache.load(tenant.id, ['b']);
  expect(cache.position(tenant.id)).toBe(before);
  await cache.refresh(tenant.id);
  expect(cache.resolve(tenant.id, 'a')?.status).toBe('closed');
});

test('loads and refreshes at once never leave an account older than the position says', async () => {
  const tenant = await aTenant();
  const codes = Array.from({ length: 12 }, (_, index) => `c${index}`);
  await open(tenant, ...codes);
  const cache = new AccountCache(database, 8);
  const limits = new Map<string, bigint>();
  const change = async (code: string, amount: number) => {
    const limit = { limits: { posted_max: String(amount) } };
    await database.transaction(tenant.actor, async (tx) =>
      updateAccount(tx, await lockAccount(tx, code), limit),
    );
    limits.set(code, BigInt(amount));
  };
  for (let round = 1; round <= 15; round += 1) {
    await Promise.all([
      ...codes.map((code, index) =>
        index % 3 === round % 3 ? change(code, round) : cache.load(tenant.id, [code]),
      ),
      cache.refresh(tenant.id),
    ]);
    // What ledger.post_transactions does when it finds a newer version.
    await cache.refresh(tenant.id);
    for (const code of codes) {
      await cache.load(tenant.id, [code]);
      expect(cache.resolve(tenant.id, code)?.posted_max).toBe(limits.get(code) ?? null);
    }
  }
});

test('beyond its size it forgets what was used longest ago, and finds it again', async () => {
  const tenants = [await aTenant(), await aTenant(), await aTenant()];
  const codes = Array.from({ length: 10 }, (_, index) => `c${index}`);
  for (const tenant of tenants) await open(tenant, ...codes);
  const cache = new AccountCache(database, 12);
  for (let round = 0; round < 3; round += 1) {
    for (const tenant of tenants) {
      for (const code of codes) {
        await cache.load(tenant.id, [code]);
        expect(cache.resolve(tenant.id, code)?.code).toBe(code);
      }
    }
  }
  const known = tenants.flatMap((tenant) =>
    codes.filter((code) => cache.resolve(tenant.id, code) !== undefined),
  );
  expect(known.length).toBeLessThanOrEqual(18);
});

test('what was known is still known after waiting for the rest, whatever others loaded meanwhile', async () => {
  const [tenant, other] = [await aTenant(), await aTenant()];
  const codes = Array.from({ length: 20 }, (_, index) => `c${index}`);
  for (const each of [tenant, other]) await open(each, ...codes);
  const cache = new AccountCache(database, 4);
  let is_done = false;
  const crowd = async () => {
    while (!is_done) {
      await cache.load(other.id, codes);
      await cache.load(other.id, ['unknown']);
    }
  };
  const crowding = Promise.all([crowd(), crowd()]);
  for (const code of [...codes, ...codes, ...codes]) {
    await cache.load(tenant.id, ['c0']);
    await cache.load(tenant.id, ['c0', code]);
    expect([cache.resolve(tenant.id, 'c0')?.code, cache.resolve(tenant.id, code)?.code]).toEqual([
      'c0',
      code,
    ]);
  }
  is_done = true;
  await crowding;
});

test('a load larger than the cache still answers for each account', async () => {
  const tenant = await aTenant();
  const codes = Array.from({ length: 30 }, (_, index) => `c${index}`);
  await open(tenant, ...codes);
  const cache = new AccountCache(database, 5);
  await cache.load(tenant.id, ['c29']);
  await cache.load(tenant.id, codes);
  for (const code of codes) expect(cache.resolve(tenant.id, code)?.code).toBe(code);
});

test('an unknown tenant has no accounts, and is caught up after a refresh', async () => {
  const tenant = await aTenant();
  await open(tenant, 'a');
  await close(tenant, 'a');
  const cache = new AccountCache(database);
  expect(cache.position(tenant.id)).toBe(0);
  await cache.refresh(tenant.id);
  expect(cache.position(tenant.id)).toBeGreaterThan(0);
});
