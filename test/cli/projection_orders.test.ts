// `projections rebuild --all --cancel`: of a server that begins rebuilds and carries none forward, so that they are found running.
import { expect, test } from 'vitest';
import { z } from 'zod';
import { commandLines } from '../support/command_lines.ts';
import { aPlatformKey, aTenant } from '../support/factories.ts';
import { startServer } from '../support/server.ts';

const server = await startServer({ CONSUMERS: 'off' });
const lattice = commandLines();
const platform = { LATTICE_URL: server.url, LATTICE_PLATFORM_KEY: await aPlatformKey() };
const rebuild = (...rest: string[]) => lattice(['projections', 'rebuild', ...rest], platform);

test('what runs in all tenants, and in the log of the platform, is canceled at once, of one projection or of all', async () => {
  await aTenant();
  await aTenant();
  const none = await rebuild('--cancel', '--all');
  expect([none.status, none.stderr]).toEqual([1, 'lattice: rebuild_not_running: Nothing is being rebuilt\n']);
  const started = await rebuild('--all', '--detach');
  expect([started.status, started.stdout]).toEqual([
    0,
    'started  balances, balances_daily, invoices, reports\n',
  ]);
  const one = await rebuild('reports', '--cancel', '--all');
  expect([one.status, one.stdout]).toEqual([0, 'canceled  reports of all tenants: 3 were running\n']);
  const rest = await rebuild('--cancel', '--all', '--json');
  const CanceledSchema = z.looseObject({ running_count: z.number(), status: z.string() });
  expect(CanceledSchema.parse(JSON.parse(rest.stdout))).toMatchObject({
    running_count: 9,
    status: 'canceled',
  });
  expect((await rebuild('--cancel', '--all')).status).toBe(1);
});

test('of one tenant a projection is named', async () => {
  const unnamed = await rebuild('--cancel', '--tenant', 'ten_01h455vb4pex5vsknk084sn02q');
  expect([unnamed.status, unnamed.stderr]).toEqual([
    2,
    expect.stringContaining('--cancel takes a name with --tenant'),
  ]);
});
