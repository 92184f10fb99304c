// `jobs list`, `jobs retry` and `jobs dismiss`, against a server as customers call it.
import { expect, test } from 'vitest';
import { z } from 'zod';
import { encodeId } from '../../src/id.ts';
import { commandLines } from '../support/command_lines.ts';
import { aDeadLetter, aPlatformKey, aTenant, platform } from '../support/factories.ts';
import { startServer } from '../support/server.ts';

const server = await startServer();
const lattice = commandLines();

const ListSchema = z.object({ data: z.array(z.looseObject({ id: z.string(), status: z.string() })) });

test('a tenant lists what gave up, and retries or dismisses it', async () => {
  const tenant = await aTenant();
  const environment = { LATTICE_URL: server.url, LATTICE_API_KEY: tenant.api_key };
  const nothing = await lattice(['jobs', 'list'], environment);
  expect([nothing.status, nothing.stdout]).toEqual([0, 'No job has given up.\n']);
  const id = await aDeadLetter(tenant.actor);
  const listed = await lattice(['jobs', 'list'], environment);
  expect(listed.status).toBe(1);
  expect(listed.stdout).toMatch(
    new RegExp(`^${id}  ledger.expire_holds +waiting +\\S+Z, 10 attempts: it failed\n$`),
  );
  const retried = await lattice(['jobs', 'retry', id], environment);
  expect([retried.status, retried.stdout]).toEqual([
    0,
    `retried  ${id} of ${encodeId('tenant', tenant.id)}\n`,
  ]);
  const again = await lattice(['jobs', 'dismiss', id], environment);
  expect([again.status, again.stderr]).toEqual([1, expect.stringMatching(/^lattice: dead_letter_settled: /)]);
  const settled = await lattice(['jobs', 'list', '--settled', '--json'], environment);
  expect(settled.status).toBe(0);
  expect(ListSchema.parse(JSON.parse(settled.stdout)).data).toMatchObject([{ id, status: 'retried' }]);
});

test('the platform dismisses what gave up in any tenant', async () => {
  const tenant = await aTenant();
  const id = await aDeadLetter(tenant.actor, { reason: 'for the platform' });
  const environment = { LATTICE_URL: server.url, LATTICE_PLATFORM_KEY: await aPlatformKey() };
  const listed = await lattice(['jobs', 'list', '--platform'], environment);
  expect(listed.stdout).toContain(`${id}  ${encodeId('tenant', tenant.id)}`);
  const dismissed = await lattice(['jobs', 'dismiss', id, '--platform', '--json'], environment);
  expect(JSON.parse(dismissed.stdout)).toMatchObject({ id, status: 'dismissed' });
});

test("the platform's own jobs that gave up are among those of all, and are settled in the same way", async () => {
  const id = await aDeadLetter(platform, { job: 'log.make_partitions' });
  const environment = { LATTICE_URL: server.url, LATTICE_PLATFORM_KEY: await aPlatformKey() };
  const whose = encodeId('tenant', platform.tenant_id);
  const listed = await lattice(['jobs', 'list', '--platform'], environment);
  expect(listed.stdout).toContain(`${id}  ${whose}`);
  const retried = await lattice(['jobs', 'retry', id, '--platform'], environment);
  expect([retried.status, retried.stdout]).toEqual([0, `retried  ${id} of ${whose}\n`]);
});
