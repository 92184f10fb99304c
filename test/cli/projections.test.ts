// `projections list`, `rebuild`, `drop` and `diff`, against a server as an operator calls it.
import { expect, test } from 'vitest';
import { z } from 'zod';
import { encodeId } from '../../src/id.ts';
import { commandLines } from '../support/command_lines.ts';
import { asSuperuser } from '../support/database.ts';
import { anAccount, aPlatformKey, aTenant, aTransaction, type TestTenant } from '../support/factories.ts';
import { startServer } from '../support/server.ts';
import { waitFor } from '../support/wait.ts';

const server = await startServer();
const lattice = commandLines();
const platform = { LATTICE_URL: server.url, LATTICE_PLATFORM_KEY: await aPlatformKey() };

const ListSchema = z.object({
  data: z.array(
    z.looseObject({
      tenant: z.string().nullable().optional(),
      name: z.string(),
      version: z.number(),
      lag_events: z.number(),
    }),
  ),
});

async function aPast(): Promise<TestTenant> {
  const tenant = await aTenant();
  const api = server.client(tenant.api_key);
  const [debit, credit] = [await anAccount(api), await anAccount(api)];
  await aTransaction(api, { debit: debit.id, credit: credit.id });
  await waitFor('the balances are carried forward', async () => {
    const { data } = (await api.get('/v1/projections')).as(ListSchema);
    return data.find(({ name }) => name === 'balances')?.lag_events === 0;
  });
  return tenant;
}

test('a projection is rebuilt, gone back from, and what is kept is dropped', async () => {
  const id = encodeId('tenant', (await aPast()).id);
  const rebuilt = await lattice(['projections', 'rebuild', 'balances', '--tenant', id], platform);
  expect([rebuilt.status, rebuilt.stdout]).toEqual([
    0,
    expect.stringMatching(/version 2 .* version 1 kept · rebuild of version 2: swapped, 0 rows differed/),
  ]);
  const back = await lattice(
    ['projections', 'rebuild', 'balances', '--tenant', id, '--kept', '--json'],
    platform,
  );
  expect(ListSchema.parse(JSON.parse(back.stdout)).data).toMatchObject([{ name: 'balances', version: 1 }]);
  const dropped = await lattice(['projections', 'drop', 'balances', '--tenant', id], platform);
  expect([dropped.status, dropped.stdout]).toEqual([0, `dropped  balances of ${id}: version 2\n`]);
  const cancel = await lattice(['projections', 'rebuild', 'balances', '--tenant', id, '--cancel'], platform);
  expect([cancel.status, cancel.stderr]).toEqual([
    1,
    'lattice: rebuild_not_running: It is not being rebuilt\n',
  ]);
});

test('those of all tenants are rebuilt at once', async () => {
  const tenants = [await aPast(), await aPast()].map(({ id }) => encodeId('tenant', id));
  const rebuilt = await lattice(['projections', 'rebuild', 'balances', '--all', '--json'], platform);
  expect(rebuilt.status).toBe(0);
  const { data } = ListSchema.parse(JSON.parse(rebuilt.stdout));
  expect(data.filter(({ tenant }) => tenants.includes(tenant ?? ''))).toMatchObject([
    { name: 'balances', version: 2 },
    { name: 'balances', version: 2 },
  ]);
});

test('those of all tenants are judged by what the order has begun: who has none kept is left alone', async () => {
  const [kept, never] = [await aPast(), await aPast()].map(({ id }) => encodeId('tenant', id));
  const rebuild = (...rest: string[]) => lattice(['projections', 'rebuild', 'invoices', ...rest], platform);
  expect((await rebuild('--tenant', `${kept}`)).status).toBe(0);
  const gone_back = await rebuild('--all', '--kept');
  expect([gone_back.status, gone_back.stdout]).toEqual([
    0,
    expect.stringMatching(new RegExp(`${kept} +invoices .*version 2 kept · rebuild of version 1: swapped`)),
  ]);
  expect(gone_back.stdout).toMatch(
    new RegExp(`${never} +invoices .*version 1 · position \\d+ · [^·]*$`, 'm'),
  );
});

test('those of all tenants of which one differed end with 1, those after it with 0 again', async () => {
  const tenant = await aPast();
  await asSuperuser(
    z.unknown(),
    'update projection.balances_v set posted_debits = posted_debits + 1 where tenant_id = $1',
    [tenant.id],
  );
  const rebuild = () => lattice(['projections', 'rebuild', 'balances', '--all'], platform);
  expect((await rebuild()).status).toBe(1);
  expect((await rebuild()).status).toBe(0);
});

test('a projection that differs is found', async () => {
  const tenant = await aPast();
  const own = { LATTICE_URL: server.url, LATTICE_API_KEY: tenant.api_key };
  const right = await lattice(['projections', 'diff', 'balances'], own);
  expect([right.status, right.stdout]).toEqual([0, 'balances          0 differences\n']);
  await asSuperuser(
    z.unknown(),
    'update projection.balances_v set entry_count = entry_count + 1 where tenant_id = $1',
    [tenant.id],
  );
  const wrong = await lattice(['projections', 'diff'], own);
  expect([wrong.status, wrong.stdout]).toEqual([
    1,
    expect.stringMatching(/^balances +2 differences\n {2}.*expected/m),
  ]);
  const asked = ['projections', 'diff', 'balances', '--tenant', encodeId('tenant', tenant.id)];
  const counted = await lattice(asked, platform);
  expect([counted.status, counted.stdout]).toEqual([1, 'balances          2 differences\n']);
});

test('what cannot be is said', async () => {
  const nobody = await lattice(['projections', 'rebuild'], platform);
  expect([nobody.status, nobody.stderr]).toEqual([2, expect.stringContaining('give --tenant or --all')]);
  const unknown = await lattice(['projections', 'rebuild', 'nothing', '--all'], platform);
  expect([unknown.status, unknown.stderr]).toEqual([1, 'lattice: not_found: there is no such projection\n']);
});
