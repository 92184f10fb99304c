// A process that is killed at each step between an event and the record of its delivery: the next one goes on, and no event is lost.
import pg from 'pg';
import { expect, inject, test } from 'vitest';
import { z } from 'zod';
import { aClient, anEndpoint, posted_only, twoAccounts } from '../modules/webhooks/hooks.ts';
import { accept, aReceiver } from '../modules/webhooks/receiver.ts';
import { asSuperuser, databaseUrl } from '../support/database.ts';
import { aTransaction } from '../support/factories.ts';
import { startProcess } from '../support/process.ts';
import { waitFor } from '../support/wait.ts';

/** a kill at each step in each of them */
const rounds = Math.min(inject('fault_rounds'), 8);

const WaitingSchema = z.object({ query: z.string() });

/** Nobody writes a delivery until it is released. */
async function holdDeliveries(): Promise<() => Promise<void>> {
  const client = new pg.Client({ connectionString: databaseUrl('postgres') });
  await client.connect();
  await client.query('begin');
  await client.query('lock table webhooks.delivery in share mode');
  return () => client.end();
}

/** A statement of the process that is waited for by this name waits for a lock. */
async function waits(statement: string): Promise<void> {
  await waitFor(`${statement} waits`, async () => {
    const waiting = await asSuperuser(
      WaitingSchema,
      `select query from pg_stat_activity
       where datname = current_database() and application_name = 'lattice' and wait_event_type = 'Lock'`,
    );
    return waiting.some(({ query }) => query.includes(statement));
  });
}

test('killed while it queues, calls and records: every event is delivered, and queued once', async () => {
  const posted: string[] = [];
  let process = await startProcess();
  const held: (() => void)[] = [];
  let is_holding = false;
  const receiver = await aReceiver((response, received, number) => {
    if (is_holding) held.push(() => accept(response, received, number));
    else accept(response, received, number);
  });
  const { tenant_id, api_key } = await aClient(process);
  const accounts = await twoAccounts(process.client(api_key));
  const endpoint = await anEndpoint(process.client(api_key), receiver, posted_only);
  const post = async () => {
    posted.push((await aTransaction(process.client(api_key), accounts)).id);
  };
  const killed = async () => {
    await process.end('SIGKILL');
    is_holding = false;
    held.length = 0;
    process = await startProcess();
  };

  for (let round = 0; round < rounds; round += 1) {
    // It queues, and has not committed.
    let release = await holdDeliveries();
    await post();
    await waits('queue_deliveries');
    await process.end('SIGKILL');
    await release();
    await killed();

    // It calls, and queues the next.
    is_holding = true;
    await post();
    await waitFor('a call is open', () => held.length > 0);
    release = await holdDeliveries();
    await post();
    await waits('queue_deliveries');
    await process.end('SIGKILL');
    await release();
    await killed();

    // It has called, and records.
    is_holding = true;
    await post();
    await waitFor('a call is open', () => held.length > 0);
    release = await holdDeliveries();
    is_holding = false;
    for (const answer of held.splice(0)) answer();
    await waits('record_attempts');
    await process.end('SIGKILL');
    await release();
    await killed();
  }

  await post();
  const left = () =>
    asSuperuser(
      z.object({ position: z.string(), status: z.string() }),
      'select position, status from webhooks.delivery where tenant_id = $1 order by position',
      [tenant_id],
    );
  const deliveries = await waitFor(
    'all are delivered',
    async () => {
      const rows = await left();
      return rows.length >= posted.length && rows.every(({ status }) => status === 'succeeded') ? rows : null;
    },
    { timeout_ms: 30_000, interval_ms: 50 },
  );
  expect(endpoint.status).toBe('enabled');
  expect(new Set(deliveries.map(({ position }) => position)).size).toBe(posted.length);
  expect(deliveries).toHaveLength(posted.length);
  const missing = posted.filter((id) => !receiver.received.some(({ text }) => text.includes(id)));
  expect(missing).toEqual([]);
});
