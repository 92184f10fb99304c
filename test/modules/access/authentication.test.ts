import { expect, test } from 'vitest';
import { z } from 'zod';
import { Database } from '../../../src/db.ts';
import { Problem } from '../../../src/errors.ts';
import { decodeId, newUuid } from '../../../src/id.ts';
import { createLogger } from '../../../src/log.ts';
import { authenticate, createKey, forgetKey, revokeKey } from '../../../src/modules/access/index.ts';
import { reactivateTenant, suspendTenant } from '../../../src/modules/tenants/tenants.ts';
import { asSuperuser, database, databaseUrl } from '../../support/database.ts';
import { aKey, aTenant, platform } from '../../support/factories.ts';

/** What the presenter of a key learns: the whole problem, or who it is. */
async function outcome(presented: string | undefined, now_ms?: number, as = database) {
  try {
    const { tenant_id, role, mode } = await authenticate(as, presented, now_ms);
    return { tenant_id, role, mode };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return { code: error.code, detail: error.message, options: error.options };
  }
}

const refused = {
  code: 'unauthenticated',
  detail: 'Send a valid key as Authorization: Bearer lk_…',
  options: { headers: { 'WWW-Authenticate': 'Bearer' } },
};

/** Another process on the same database. */
async function withOtherProcess(work: (other: Database) => Promise<void>): Promise<void> {
  const other = new Database({
    connection_string: databaseUrl('lattice_app'),
    size: 2,
    application_name: 'lattice test, other process',
    logger: createLogger('warn'),
  });
  try {
    await work(other);
  } finally {
    await other.end();
  }
}

test('a key opens its own tenant, with the rights of its role', async () => {
  const tenant = await aTenant({ mode: 'live' });
  const holder = await authenticate(database, tenant.api_key);
  expect(holder).toEqual({
    tenant_id: tenant.id,
    actor_id: tenant.actor.actor_id,
    role: 'owner',
    mode: 'live',
    can: expect.any(Function),
  });
  expect(holder.can({ action: 'create', subject: 'transaction' })).toBe(true);
  expect(holder.can({ action: 'read', subject: 'tenant' })).toBe(false);
});

test('a key is missing, malformed, unknown, wrong, expired or revoked: the same refusal', async () => {
  const tenant = await aTenant({ mode: 'live' });
  const [, , id, secret = ''] = tenant.api_key.split('_');
  const other_letter = secret.startsWith('0') ? '1' : '0';
  const { api_key: revoked, actor_id } = await aKey(tenant.id, 'auditor');
  await database.transaction(tenant.actor, (tx) => revokeKey(tx, actor_id));
  const presented = [
    undefined,
    '',
    'lk_live_',
    tenant.api_key.slice(0, -1),
    `${tenant.api_key}0`,
    tenant.api_key.toUpperCase(),
    `lk_live_${id}_${other_letter}${secret.slice(1)}`,
    `lk_test_${id}_${secret}`,
    `lk_live_01h455vb4pex5vsknk084sn02q_${secret}`,
    `lk_live_zzzzzzzzzzzzzzzzzzzzzzzzzz_${secret}`,
    revoked,
  ];
  for (const each of presented) expect(await outcome(each), String(each)).toEqual(refused);
  expect(await outcome(tenant.api_key)).toMatchObject({ tenant_id: tenant.id });
});

test('a known key with a wrong secret is refused although the key is in memory', async () => {
  const tenant = await aTenant();
  expect(await outcome(tenant.api_key)).toMatchObject({ role: 'owner' });
  const wrong = tenant.api_key.slice(0, -1) + (tenant.api_key.endsWith('0') ? '1' : '0');
  expect(await outcome(wrong)).toEqual(refused);
});

test('a key that was read once is answered from memory for some seconds', async () => {
  const tenant = await aTenant();
  const now_ms = Date.now();
  const queries: string[] = [];
  await authenticate(database, tenant.api_key, now_ms);
  const count = () => queries.push('query');
  database.pool.on('acquire', count);
  await authenticate(database, tenant.api_key, now_ms + 5_000);
  expect(queries).toEqual([]);
  await authenticate(database, tenant.api_key, now_ms + 5_001);
  expect(queries).toEqual(['query']);
  database.pool.off('acquire', count);
});

test('requests that wait for the same key share one query', async () => {
  const tenant = await aTenant();
  const queries: string[] = [];
  const count = () => queries.push('query');
  database.pool.on('acquire', count);
  await Promise.all(Array.from({ length: 20 }, () => authenticate(database, tenant.api_key)));
  database.pool.off('acquire', count);
  expect(queries).toEqual(['query']);
});

test('a key works until it expires, to the millisecond, in memory or not', async () => {
  const tenant = await aTenant();
  const expires_ms = Date.now() + 60_000;
  const { api_key } = await database.transaction(tenant.actor, (tx) =>
    createKey(tx, { name: 'short', role: 'auditor', expires_at: new Date(expires_ms).toISOString() }),
  );
  expect(await outcome(api_key, expires_ms - 1)).toMatchObject({ role: 'auditor' });
  expect(await outcome(api_key, expires_ms)).toEqual(refused);
  expect(await outcome(api_key, expires_ms + 3_600_000)).toEqual(refused);
});

test('a revoked key opens nothing from the commit on, though it was in memory', async () => {
  const tenant = await aTenant();
  const { api_key, actor_id } = await aKey(tenant.id, 'operator');
  expect(await outcome(api_key)).toMatchObject({ role: 'operator' });
  await database.transaction(tenant.actor, async (tx) => {
    await revokeKey(tx, actor_id);
    forgetKey(database, actor_id);
    // Not committed yet: it still opens, and what is read now must not be kept.
    expect(await outcome(api_key)).toMatchObject({ role: 'operator' });
  });
  expect(await outcome(api_key)).toEqual(refused);
});

test('a revocation that is rolled back changes nothing', async () => {
  const tenant = await aTenant();
  const { api_key, actor_id } = await aKey(tenant.id, 'operator');
  await expect(
    database.transaction(tenant.actor, async (tx) => {
      await revokeKey(tx, actor_id);
      forgetKey(database, actor_id);
      throw new Error('changed my mind');
    }),
  ).rejects.toThrow('changed my mind');
  expect(await outcome(api_key)).toMatchObject({ role: 'operator' });
});

test('a lookup that began before the revocation is not kept', async () => {
  const tenant = await aTenant();
  const { api_key, actor_id } = await aKey(tenant.id, 'operator');
  const early = outcome(api_key);
  forgetKey(database, actor_id);
  await early;
  await database.transaction(tenant.actor, (tx) => revokeKey(tx, actor_id));
  expect(await outcome(api_key)).toEqual(refused);
});

test('another process learns of a revocation within five seconds, or at once when it is told', async () => {
  const tenant = await aTenant();
  const slow = await aKey(tenant.id, 'operator');
  const told = await aKey(tenant.id, 'operator');
  await withOtherProcess(async (other) => {
    const now_ms = Date.now();
    await authenticate(other, slow.api_key, now_ms);
    await authenticate(other, told.api_key, now_ms);
    await database.transaction(tenant.actor, async (tx) => {
      await revokeKey(tx, slow.actor_id);
      await revokeKey(tx, told.actor_id);
    });
    forgetKey(other, told.actor_id, now_ms);
    expect(await outcome(told.api_key, now_ms, other)).toEqual(refused);
    expect(await outcome(slow.api_key, now_ms + 5_001, other)).toEqual(refused);
  });
});

test('the keys of a suspended tenant are refused at once, and work again when it is reactivated', async () => {
  const tenant = await aTenant();
  const bystander = await aTenant();
  expect(await outcome(tenant.api_key)).toMatchObject({ role: 'owner' });
  await database.transaction(platform, (tx) => suspendTenant(tx, tenant.id));
  expect(await outcome(tenant.api_key)).toEqual({
    code: 'tenant_suspended',
    detail: 'The tenant is suspended; ask the platform',
    options: {},
  });
  expect(await outcome(bystander.api_key)).toMatchObject({ tenant_id: bystander.id });
  await database.transaction(platform, (tx) => reactivateTenant(tx, tenant.id));
  expect(await outcome(tenant.api_key)).toMatchObject({ role: 'owner' });
});

test('whoever guesses the secret of a suspended tenant does not learn that it is suspended', async () => {
  const tenant = await aTenant();
  await database.transaction(platform, (tx) => suspendTenant(tx, tenant.id));
  expect(await outcome(tenant.api_key.slice(0, -52) + '0'.repeat(52))).toEqual(refused);
});

test('a secret is 260 bits, and the database has only its hash', async () => {
  const tenant = await aTenant({ mode: 'live' });
  expect(tenant.api_key).toMatch(/^lk_live_[0-9a-hjkmnp-tv-z]{26}_[0-9a-hjkmnp-tv-z]{52}$/);
  const secret = tenant.api_key.slice(-52);
  const rows = await asSuperuser(
    z.object({ id: z.string(), matches: z.boolean() }),
    `select id, secret_hash = sha256(convert_to($1, 'UTF8')) as matches from access.api_key where tenant_id = $2`,
    [secret, tenant.id],
  );
  expect(rows).toEqual([{ id: tenant.actor.actor_id, matches: true }]);
  expect(decodeId('key', `key_${tenant.api_key.split('_')[2]}`, '#')).toBe(tenant.actor.actor_id);
});

test('tens of thousands of revocations in two minutes hold nobody up', () => {
  const began_ms = performance.now();
  for (let i = 0; i < 60_000; i += 1) forgetKey(database, newUuid());
  expect(performance.now() - began_ms).toBeLessThan(5_000);
});
