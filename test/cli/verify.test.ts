// `verify`: prints the proof and fails when anything differs.
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { platform_tenant_id } from '../../src/db.ts';
import { encodeId } from '../../src/id.ts';
import { commandLines } from '../support/command_lines.ts';
import { asSuperuser, databaseUrl } from '../support/database.ts';
import { anAccount, aPlatformKey, aTenant, aTransaction } from '../support/factories.ts';
import { aDataDirectory } from '../support/lattice.ts';
import { signing_keys_path, startServer } from '../support/server.ts';
import { waitFor } from '../support/wait.ts';

const server = await startServer();
const lattice = commandLines();

async function books() {
  const tenant = await aTenant();
  const api = server.client(tenant.api_key);
  const cash = await anAccount(api, { type: 'asset' });
  const wallet = await anAccount(api);
  await aTransaction(api, { debit: cash.id, credit: wallet.id, amount: '123456' });
  return { ...tenant, environment: { LATTICE_URL: server.url, LATTICE_API_KEY: tenant.api_key } };
}

test('a ledger that holds is proved, in figures for people and in JSON', async () => {
  const { environment } = await books();
  const { status, stdout, stderr } = await lattice(['verify'], environment);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout.replace(/(\d+ blocks|position \d+)/g, '…')).toBe(
    '  EUR   debits 1234.56 = credits 1234.56\n  2 entries recounted at …: nothing differs\n' +
      '  balances_daily, invoices, reports recounted at …: nothing differs\n  … hashed up to …: nothing was touched\n',
  );
  const json = await lattice(['verify', '--json'], environment);
  expect(JSON.parse(json.stdout)).toMatchObject({
    ok: true,
    entry_count: 2,
    differences: [],
    checkpoint: null,
  });
});

test("an event of the platform that somebody has changed is found, with the platform's key and among all", async () => {
  const { id } = await books();
  const platform = { LATTICE_URL: server.url, LATTICE_PLATFORM_KEY: await aPlatformKey() };
  const all = { DATABASE_URL: databaseUrl('lattice_app'), LATTICE_SIGNING_KEYS: signing_keys_path };
  await waitFor('it is sealed', async () => {
    const { stdout } = await lattice(['verify', '--platform', '--json'], platform);
    const { chain } = z
      .looseObject({ chain: z.looseObject({ position: z.number(), head_position: z.number() }) })
      .parse(JSON.parse(stdout));
    return chain.position === chain.head_position;
  });
  expect((await lattice(['verify', '--platform'], platform)).status).toBe(0);
  const change = (from: string, to: string) =>
    asSuperuser(
      z.object({ position: z.number() }),
      `update log.event set request_id = $4
       where tenant_id = $1 and subject_id = $2 and request_id = $3 returning position::integer`,
      [platform_tenant_id, id, from, to],
    );
  const [changed] = await change('req_test', 'req_else');
  const finding = `  position ${changed?.position}: the event or its entries are not as they were sealed\n`;
  for (const words of [['--platform'], ['--all']]) {
    const found = await lattice(['verify', ...words], words[0] === '--all' ? all : platform);
    expect([found.status, found.stdout]).toEqual([1, expect.stringContaining(finding)]);
  }
  const report = await lattice(['verify', '--all', '--json'], all);
  const { tenants } = z
    .object({ tenants: z.array(z.looseObject({ tenant_id: z.string(), ok: z.boolean() })) })
    .parse(JSON.parse(report.stdout));
  expect(tenants.filter(({ ok }) => !ok)).toMatchObject([
    { tenant_id: encodeId('tenant', platform_tenant_id) },
  ]);
  await change('req_else', 'req_test');
  expect((await lattice(['verify', '--platform'], platform)).status).toBe(0);
});

test('all are verified by public keys alone, and by none that is made for it', async () => {
  await books();
  const directory = await aDataDirectory();
  const public_keys = join(directory, 'public.pem');
  const private_key = createPrivateKey(readFileSync(signing_keys_path, 'utf8'));
  writeFileSync(public_keys, createPublicKey(private_key).export({ format: 'pem', type: 'spki' }));
  const environment = { DATABASE_URL: databaseUrl('lattice_app'), LATTICE_DATA_DIR: directory };
  const known = await lattice(['verify', '--all'], { ...environment, LATTICE_SIGNING_KEYS: public_keys });
  expect(known).toMatchObject({ status: 0, stderr: '' });
  expect(await lattice(['verify', '--all'], environment)).toMatchObject({
    status: 1,
    stdout: '',
    stderr: `lattice: there are no keys at ${join(directory, 'signing_keys.pem')}: LATTICE_SIGNING_KEYS names the file of those that signed\n`,
  });
  expect(readdirSync(directory)).toEqual(['public.pem']);
});

test('an entry that somebody has changed is found, for the tenant and among all', async () => {
  const { id, slug, environment } = await books();
  const touched = await asSuperuser(
    z.object({ position: z.number() }),
    "update ledger.entry set amount = amount + 1 where tenant_id = $1 and direction = 'debit' returning position::integer",
    [id],
  );
  expect(touched).toHaveLength(1);
  const one = await lattice(['verify'], environment);
  expect(one.status).toBe(1);
  expect(one.stdout).toContain('EUR   debits 1234.57 IS NOT credits 1234.56');
  expect(one.stdout).toContain('Postings are halted');

  const all = await lattice(['verify', '--all', '--json'], {
    DATABASE_URL: databaseUrl('lattice_app'),
    LATTICE_SIGNING_KEYS: signing_keys_path,
  });
  expect(all.status).toBe(1);
  const report = z
    .object({ ok: z.boolean(), tenants: z.array(z.looseObject({ ok: z.boolean() })) })
    .parse(JSON.parse(all.stdout));
  expect(report.tenants.filter(({ ok }) => !ok)).toHaveLength(1);
  expect(report.tenants.length).toBeGreaterThan(1);
  const people = await lattice(['verify', '--all'], {
    DATABASE_URL: databaseUrl('lattice_app'),
    LATTICE_SIGNING_KEYS: signing_keys_path,
  });
  expect(people.stdout).toContain(slug);
  expect(people.stdout).toContain(`1 of ${report.tenants.length} tenants FAIL`);
});
