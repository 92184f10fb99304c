// `verify`: prints the proof and fails when anything differs.
import { expect, test } from 'vitest';
import { z } from 'zod';
import { commandLines } from '../support/command_lines.ts';
import { asSuperuser, databaseUrl } from '../support/database.ts';
import { anAccount, aTenant, aTransaction } from '../support/factories.ts';
import { signing_keys_path, startServer } from '../support/server.ts';

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
    '  EUR   debits 1234.56 = credits 1234.56\n  2 entries recounted at …: nothing differs\n  … hashed up to …: nothing was touched\n',
  );
  const json = await lattice(['verify', '--json'], environment);
  expect(JSON.parse(json.stdout)).toMatchObject({ ok: true, entry_count: 2, differences: [] });
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
