// Statements that are sent behind one another on one connection.
import type { Duplex } from 'node:stream';
import pg from 'pg';
import { expect, test } from 'vitest';
import { z } from 'zod';
import type { Query } from '../src/db.ts';
import { Pipe } from '../src/pipe.ts';
import { asSuperuser, database, databaseUrl } from './support/database.ts';
import { waitFor } from './support/wait.ts';

const PidSchema = z.object({ pid: z.number() });
const NumberSchema = z.array(z.object({ number: z.number() }));
const WaitingSchema = z.object({ count: z.number() });
const EndedSchema = z.object({ ended: z.boolean() });

const divide: Query = { name: 'pipe_divide', text: 'select 100 / $1::integer as number', parameters: [] };
const wait: Query = {
  name: 'pipe_wait',
  text: 'select pg_backend_pid() as number from pg_sleep(30)',
  parameters: [],
};

const measure: Query = {
  name: 'pipe_measure',
  text: 'select length($1)::integer as number, clock_timestamp()::text as measured_at',
  parameters: [],
};
const MeasuredSchema = z.array(z.object({ number: z.number(), measured_at: z.string() }));

const send = async (divisor: number) => {
  const [row] = NumberSchema.parse(await database.callInOrder(0, divide, [divisor]));
  return row?.number;
};

test('one that fails does so by itself, and those behind it are done in their order', async () => {
  const done: number[] = [];
  const sent = [1, 2, 0, 4, 5].map((divisor) => send(divisor).finally(() => done.push(divisor)));
  const settled = await Promise.allSettled(sent);
  expect(settled.map((each) => (each.status === 'fulfilled' ? each.value : 'refused'))).toEqual([
    100,
    50,
    'refused',
    25,
    20,
  ]);
  expect(done).toEqual([1, 2, 0, 4, 5]);
});

test('what was sent is let go of when it is answered, or fails', async () => {
  const [answered, refused] = [[4], [0]];
  const both = [answered, refused].map((values) => database.callInOrder(0, divide, values));
  expect([answered, refused]).toEqual([[4], [0]]);
  await Promise.allSettled(both);
  expect([answered, refused]).toEqual([[null], [null]]);
});

test('a connection that breaks fails what was sent on it, and the next statement goes on another', async () => {
  const cut = [database.callInOrder(0, wait, []), send(1), send(2)];
  const settled = Promise.allSettled(cut);
  let pid = 0;
  await waitFor('it is at work', async () => {
    const [session] = await asSuperuser(
      PidSchema,
      `select pid from pg_stat_activity where datname = current_database() and query like '%pg_sleep(30)%' and state = 'active' and pid <> pg_backend_pid()`,
    );
    pid = session?.pid ?? 0;
    return pid !== 0;
  });
  expect(await asSuperuser(EndedSchema, 'select pg_terminate_backend($1) as ended', [pid])).toEqual([
    { ended: true },
  ]);
  for (const each of await settled) {
    expect(each).toMatchObject({ status: 'rejected', reason: { code: 'unavailable' } });
  }
  expect(await Promise.all([send(4), send(5)])).toEqual([25, 20]);
});

test('a large statement is out before the one in front of it is answered, however busy the process is then', async () => {
  const text = 'x'.repeat(20_000_000);
  const first = send(1).then(() => {
    const busy_until_ms = Date.now() + 2_000;
    while (Date.now() < busy_until_ms);
    return busy_until_ms;
  });
  const [measured] = MeasuredSchema.parse(await database.callInOrder(0, measure, [text]));
  expect(measured?.number).toBe(text.length);
  expect(Date.parse(measured?.measured_at ?? '')).toBeLessThan(await first);
});

test('an answer is passed on when little is on its way out behind it, which the socket says no word of', async () => {
  const pipe = new Pipe({ connectionString: databaseUrl('lattice_app') });
  const opened: Duplex[] = [];
  pipe.pool.on('connect', ({ connection }) => opened.push(connection.stream));
  const lock_id = 7_471;
  // Postgres takes nothing more while it waits for the lock, so that what is sent stays on its way.
  const holder = new pg.Client({ connectionString: databaseUrl('lattice_app') });
  await holder.connect();
  await holder.query('select pg_advisory_lock($1)', [lock_id]);
  const answers = [pipe.query({ text: 'select pg_advisory_xact_lock($1)', values: [lock_id] })];
  await waitFor('it waits for the lock', async () => {
    const [waiting] = await asSuperuser(
      WaitingSchema,
      `select count(*)::integer as count from pg_locks join pg_stat_activity using (pid)
       where datname = current_database() and objid = $1 and not granted`,
      [lock_id],
    );
    return waiting?.count === 1;
  });
  const [stream] = opened;
  const text = 'x'.repeat(20_000);
  while (stream?.writableLength === 0) {
    answers.push(pipe.query({ text: 'select length($1)', values: [text] }));
    // It is written in one of the next turns of the event loop.
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(stream?.writableNeedDrain).toBe(false);
  await holder.end();
  for (const rows of (await Promise.all(answers)).slice(1)) expect(rows).toEqual([{ length: text.length }]);
  await pipe.pool.end();
});
