// `consumers list` and `consumers resume`, against a server as customers call it.
import { expect, test } from 'vitest';
import { z } from 'zod';
import { platform_tenant_id } from '../../src/db.ts';
import { encodeId } from '../../src/id.ts';
import { commandLines } from '../support/command_lines.ts';
import { asSuperuser } from '../support/database.ts';
import { aPlatformKey, aTenant } from '../support/factories.ts';
import { startServer } from '../support/server.ts';
import { waitFor } from '../support/wait.ts';

const server = await startServer();
const lattice = commandLines();

async function park(tenant: { id: string }): Promise<void> {
  await waitFor('the balances have a position', async () => {
    const parked = await asSuperuser(
      z.unknown(),
      `update log.consumer set parked_at = now(), attempts = 8, reason = 'numeric field overflow'
       where tenant_id = $1 and name = 'balances' returning name`,
      [tenant.id],
    );
    return parked.length === 1;
  });
}

const ListSchema = z.object({
  data: z.array(z.looseObject({ tenant: z.string().nullable(), name: z.string(), status: z.string() })),
});

test('a tenant lists its consumers, and resumes one that is parked', async () => {
  const tenant = await aTenant();
  const environment = { LATTICE_URL: server.url, LATTICE_API_KEY: tenant.api_key };
  await park(tenant);
  const parked = await lattice(['consumers', 'list'], environment);
  expect(parked.status).toBe(1);
  expect(parked.stdout).toMatch(/^balances +parked +at 1, caught up: numeric field overflow$/m);
  const resumed = await lattice(['consumers', 'resume', 'balances'], environment);
  expect([resumed.status, resumed.stdout]).toEqual([0, 'resumed  balances\n']);
  const again = await lattice(['consumers', 'resume', 'balances'], environment);
  expect([again.status, again.stderr]).toEqual([
    1,
    'lattice: consumer_not_parked: The consumer is not parked\n',
  ]);
  const following = await lattice(['consumers', 'list', '--json'], environment);
  const { data } = ListSchema.parse(JSON.parse(following.stdout));
  expect(data.find(({ name }) => name === 'balances')).toMatchObject({ tenant: null, status: 'following' });
});

test('the platform lists those of a tenant or of all, and resumes one', async () => {
  const [tenant, other] = [await aTenant(), await aTenant()];
  const environment = { LATTICE_URL: server.url, LATTICE_PLATFORM_KEY: await aPlatformKey() };
  await park(tenant);
  const id = encodeId('tenant', tenant.id);
  const all = await lattice(['consumers', 'list', '--all', '--json'], environment);
  const { data } = ListSchema.parse(JSON.parse(all.stdout));
  expect(data.filter(({ status }) => status === 'parked')).toMatchObject([{ tenant: id, name: 'balances' }]);
  expect(data.map((each) => each.tenant)).toContain(encodeId('tenant', other.id));
  const resumed = await lattice(['consumers', 'resume', 'balances', '--tenant', id], environment);
  expect([resumed.status, resumed.stdout]).toEqual([0, `resumed  balances of ${id}\n`]);
  const listed = await lattice(['consumers', 'list', '--tenant', id], environment);
  expect([listed.status, listed.stdout]).toEqual([
    0,
    expect.stringMatching(new RegExp(`^${id} +balances +following`, 'm')),
  ]);
});

test("the platform's own consumers are among those of all, and are resumed in the same way", async () => {
  await aTenant();
  const environment = { LATTICE_URL: server.url, LATTICE_PLATFORM_KEY: await aPlatformKey() };
  const id = encodeId('tenant', platform_tenant_id);
  await park({ id: platform_tenant_id });
  const all = await lattice(['consumers', 'list', '--all'], environment);
  expect([all.status, all.stdout]).toEqual([
    1,
    expect.stringMatching(new RegExp(`^${id} +balances +parked`, 'm')),
  ]);
  const resumed = await lattice(['consumers', 'resume', 'balances', '--tenant', id], environment);
  expect([resumed.status, resumed.stdout]).toEqual([0, `resumed  balances of ${id}\n`]);
});
