// Whoever follows the log hears of each event once and in order: whoever writes, however slowly, whatever is rolled back, and whatever
// is cut meanwhile. `FC_SEED` plays a run's dice again.
import pg from 'pg';
import { expect, inject, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import type { Tx } from '../../src/db.ts';
import type { Slice } from '../../src/modules/log/consumers.ts';
import { listEvents } from '../../src/modules/log/events.ts';
import { createEffects, effectConsumer, query, startFollowing, upTo } from '../modules/log/following.ts';
import { asSuperuser, databaseUrl } from '../support/database.ts';
import { Dice, seed } from '../support/dice.ts';
import { anAccount, aTenant, aTransaction, type TestTenant } from '../support/factories.ts';
import { LogReader } from '../support/log_reader.ts';
import { startProcess } from '../support/process.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { waitFor } from '../support/wait.ts';

const rounds = inject('fault_rounds');
const is_long = rounds > 1;
const timeout_ms = is_long ? 1_500_000 : 90_000;

await createEffects();
const [here, beside] = [await startServer({ STREAMS_PER_KEY: '100' }), await startServer()];

/** `count` events in one transaction, which takes its time before it ends, and ends as it is told. */
async function write(
  tenant: TestTenant,
  { count, pause_ms, end }: { count: number; pause_ms: number; end: 'commit' | 'rollback' | 'cut' },
): Promise<void> {
  const client = new pg.Client({
    connectionString: databaseUrl('lattice_app'),
    options: `-c app.tenant_id=${tenant.id}`,
  });
  // Its connection is cut by itself.
  client.on('error', () => undefined);
  await client.connect();
  await client.query('begin');
  await client.query(
    `select count(appended.position) from generate_series(1, $2::integer) number, log.append_event(
       $1, gen_random_uuid(), 'log.consumer_resumed', $1, json_build_object('consumer', 'number ' || number), $1, 'req', null
     ) appended`,
    [tenant.id, count],
  );
  if (pause_ms > 0) await client.query('select pg_sleep($1)', [pause_ms / 1_000]);
  if (end === 'cut')
    await client.query('select pg_terminate_backend(pg_backend_pid())').catch(() => undefined);
  else await client.query(end);
  await client.end().catch(() => undefined);
}

async function headOf(tenant: TestTenant): Promise<number> {
  const rows = await asSuperuser(
    z.object({ head: z.string() }),
    'select max(position) as head from log.event where tenant_id = $1',
    [tenant.id],
  );
  return Number(rows[0]?.head);
}

/** Two accounts, and postings between them by one server until it is told to stop. */
async function traffic(tenant: TestTenant, server: TestServer) {
  const api = server.client(tenant.api_key);
  const [debit, credit] = [await anAccount(api), await anAccount(api)];
  let is_over = false;
  const posting = Array.from({ length: 2 }, async () => {
    while (!is_over) await aTransaction(api, { debit: debit.id, credit: credit.id });
  });
  const stop = async () => {
    is_over = true;
    await Promise.all(posting);
  };
  // Also of a test that fails.
  onTestFinished(stop);
  return stop;
}

/** The slices of a consumer that were committed, in their order. */
async function slicesOf(tenant: TestTenant, consumer: string): Promise<[number, number][]> {
  const rows = await asSuperuser(
    z.object({ slice_start: z.string(), position: z.string() }),
    'select slice_start, position from public.effect where tenant_id = $1 and consumer = $2 order by number',
    [tenant.id, consumer],
  );
  return rows.map(({ slice_start, position }) => [Number(slice_start), Number(position)]);
}

test(
  `slow and aborted writers in several processes leave no gap that anybody sees (seed ${seed})`,
  async () => {
    const dice = new Dice('gaps');
    const wanted = is_long ? 1_000_000 : 3_000;
    const most = is_long ? 2_000 : 120;
    const elsewhere = await startProcess();
    const tenant = await aTenant();
    const consumer = async (tx: Tx, { after, up_to }: Slice) => {
      const { tenant_id } = tx.actor;
      const events = await listEvents(tx, { after, up_to, types: null, row_limit: up_to - after + 1 });
      expect(events.map(({ position }) => position)).toEqual(upTo(up_to).slice(after));
      await tx.run(query('effect_insert'), {
        tenant_id,
        consumer: 'gaps',
        position: up_to,
        slice_start: after,
      });
    };
    const followers = await Promise.all([
      startFollowing((own) => [effectConsumer(own, 'gaps', consumer)]),
      startFollowing((own) => [effectConsumer(own, 'gaps', consumer)]),
    ]);
    const readers = [here.url, beside.url, elsewhere.url].map(
      (url) => new LogReader({ url: () => url, api_key: tenant.api_key }),
    );
    const stopPosting = await traffic(tenant, here);
    let written = 0;
    const writers = Array.from({ length: 4 }, async () => {
      while (written < wanted) {
        const count = dice.between(1, most);
        const roll = dice.fraction();
        const end = roll < 0.7 ? 'commit' : roll < 0.9 ? 'rollback' : 'cut';
        if (end === 'commit') written += count;
        // Most are quick; some keep everybody else of the tenant waiting.
        const pause_ms = dice.fraction() < 0.1 ? dice.between(1, 100) : 0;
        await write(tenant, { count, pause_ms, end });
      }
    });
    await Promise.all(writers);
    await stopPosting();
    const head = await headOf(tenant);
    expect(head).toBeGreaterThanOrEqual(wanted);
    for (const reader of readers) await reader.reached(head, timeout_ms / 2);
    for (const reader of readers) reader.close();
    expect(readers.map(({ problems, position, events }) => ({ problems, position, events }))).toEqual(
      readers.map(() => ({ problems: [], position: head, events: head })),
    );
    await waitFor(
      'the consumer has come to the end',
      async () => (await slicesOf(tenant, 'gaps')).at(-1)?.[1] === head,
      {
        timeout_ms: timeout_ms / 2,
      },
    );
    const slices = await slicesOf(tenant, 'gaps');
    expect(slices.map(([after]) => after)).toEqual([0, ...slices.map(([, up_to]) => up_to)].slice(0, -1));
    await Promise.all(followers.map(({ stop }) => stop()));
  },
  timeout_ms,
);

test(
  `streams that are cut at random go on without gap or duplicate (seed ${seed})`,
  async () => {
    const dice = new Dice('cuts');
    const wanted = is_long ? 2_000 : 40;
    const tenant = await aTenant();
    const stopPosting = await traffic(tenant, here);
    let cuts = 0;
    // Anywhere in what comes: in the head, between two messages, in the middle of one.
    const next_cut = new Map<LogReader, number>();
    const onBytes = (reader: LogReader) => {
      const at = next_cut.get(reader) ?? 0;
      if (cuts >= wanted || reader.bytes < at) return;
      next_cut.set(reader, reader.bytes + dice.between(1, 20_000));
      if (at === 0) return;
      cuts += 1;
      reader.cut();
    };
    const readers = Array.from(
      { length: 8 },
      // Each attempt at whatever process comes next.
      () =>
        new LogReader({
          url: () => (dice.fraction() < 0.5 ? here.url : beside.url),
          api_key: tenant.api_key,
          onBytes,
        }),
    );
    await waitFor('so many were cut', () => cuts >= wanted, { timeout_ms: timeout_ms / 2 });
    await stopPosting();
    const head = await headOf(tenant);
    for (const reader of readers) await reader.reached(head, timeout_ms / 4);
    for (const reader of readers) reader.close();
    expect(readers.map(({ problems, events }) => ({ problems, events }))).toEqual(
      readers.map(() => ({ problems: [], events: head })),
    );
  },
  timeout_ms,
);

test(
  'the connection that listens is killed again and again, and streams elsewhere hear of everything',
  async () => {
    const kills = is_long ? 200 : 8;
    const tenant = await aTenant();
    const reader = new LogReader({ url: () => beside.url, api_key: tenant.api_key });
    const stopPosting = await traffic(tenant, here);
    for (let killed = 0; killed < kills; ) {
      const before = reader.events;
      const [row] = await asSuperuser(
        z.object({ killed: z.string() }),
        `select count(pg_terminate_backend(pid)) as killed from pg_stat_activity
       where datname = current_database() and application_name = 'lattice listen'`,
      );
      killed += Math.min(1, Number(row?.killed));
      await waitFor('the stream goes on', () => reader.events > before);
    }
    await stopPosting();
    const head = await headOf(tenant);
    await reader.reached(head);
    reader.close();
    expect([reader.problems, reader.events, reader.connections]).toEqual([[], head, 1]);
  },
  timeout_ms,
);
