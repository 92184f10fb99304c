// Clients that open a stream and take nothing: what waits for them is a position and not bytes, others hear of everything at once, and
// whoever takes nothing for too long is cut off, and resumes.
import { readFile } from 'node:fs/promises';
import { expect, inject, test } from 'vitest';
import { z } from 'zod';
import { asSuperuser } from '../support/database.ts';
import { anAccount, aTenant, aTransaction, type TestTenant } from '../support/factories.ts';
import { LogReader } from '../support/log_reader.ts';
import { middle, timeEach, undisturbed } from '../support/pace.ts';
import { startProcess } from '../support/process.ts';
import { waitFor } from '../support/wait.ts';

const slow_readers = 60;
/** more than the buffers of a socket's two ends hold */
const log_bytes = 30_000_000;
/** what streams may take (docs/configuration.md): the events for them, and as much on its way to them; what waits for all of them is 1,800 MB */
const growth_max_mb = 2 * 96;

/** Not less than `log_bytes` of events, straight into the log. */
async function fillLog(tenant: TestTenant): Promise<number> {
  const [row] = await asSuperuser(
    z.object({ position: z.string() }),
    `select max(appended.position) as position
     from generate_series(1, $2) number, log.append_event(
       $1, gen_random_uuid(), 'log.consumer_resumed', $1, json_build_object('consumer', number || repeat('x', 3000)), $1, 'req', null
     ) appended`,
    [tenant.id, log_bytes / 3_000],
  );
  return Number(row?.position);
}

async function residentMb(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1_024;
}

test('slow readers cost no memory, disturb nobody, are cut off and resume', async () => {
  const server = await startProcess();
  const tenant = await aTenant();
  const api = server.client(tenant.api_key);
  const [debit, credit] = [await anAccount(api), await anAccount(api)];
  const post = () => aTransaction(api, { debit: debit.id, credit: credit.id });
  const after = await fillLog(tenant);
  const metric = async (name: string) => {
    const text = await (await fetch(`${server.url}/metrics`)).text();
    return Number(
      text
        .split('\n')
        .find((line) => line.startsWith(`${name} `))
        ?.split(' ')[1] ?? 0,
    );
  };
  const options = { url: () => server.url, api_key: tenant.api_key };
  const quick = new LogReader({ ...options, after });
  await quick.reached((await post()).position);
  // Whoever reads all of it makes the heap as large as reading takes, and leaves garbage that nobody is in a hurry to collect.
  const whole = new LogReader({ ...options, after: 0 });
  await whole.reached(after);
  whole.close();
  await waitFor('it has left', async () => (await metric('lattice_streams_open')) === 1);
  const postAndHear = async () => quick.reached((await post()).position);
  // The first ones find caches empty.
  await timeEach(20, postAndHear);
  const before_ms = await timeEach(20, postAndHear);
  const before_mb = await residentMb(server.pid);

  const slow = Array.from({ length: slow_readers }, () => new LogReader({ ...options, is_paused: true }));
  await waitFor(
    'all streams are open',
    async () => (await metric('lattice_streams_open')) === slow_readers + 1,
  );
  let peak_mb = 0;
  const during_ms: number[] = [];
  // What was sent to them stands still when none of their sockets takes more.
  for (let sent = -1; ; ) {
    const now = await metric('lattice_stream_bytes_total');
    if (sent !== -1 && now - sent < 100_000) break;
    sent = now;
    during_ms.push(...(await timeEach(20, postAndHear)));
    peak_mb = Math.max(peak_mb, await residentMb(server.pid));
  }
  expect(middle(during_ms)).toBeLessThan(undisturbed(before_ms));
  expect(peak_mb - before_mb).toBeLessThan(growth_max_mb);
  expect([quick.problems, quick.connections]).toEqual([[], 1]);

  // Half a minute, in which nothing is to be seen: only the long form has it.
  if (inject('fault_rounds') === 1) {
    for (const reader of [quick, ...slow]) reader.close();
    return;
  }
  await waitFor(
    'all slow ones are cut off',
    async () => (await metric('lattice_streams_ended_total{reason="slow"}')) === slow_readers,
    { timeout_ms: 45_000, interval_ms: 500 },
  );
  const last = await post();
  const [one, ...rest] = slow;
  for (const reader of rest) reader.close();
  one?.resume();
  await one?.reached(last.position);
  await quick.reached(last.position);
  for (const reader of slow) reader.close();
  quick.close();
  expect([one?.problems, one?.events, one?.connections]).toEqual([[], last.position, 2]);
  expect([quick.problems, quick.connections]).toEqual([[], 1]);
}, 120_000);
