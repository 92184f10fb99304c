// The queue of NOTIFY is full, because somebody listens in a transaction that never ends: whoever posts does not notice, and whoever
// follows the log hears of everything, only later.
import pg from 'pg';
import { afterAll, expect, test } from 'vitest';
import { Database } from '../../src/db.ts';
import { createLogger } from '../../src/log.ts';
import { startCluster } from '../support/cluster.ts';
import { anAccount, aTenant, aTransaction } from '../support/factories.ts';
import { LogReader } from '../support/log_reader.ts';
import { middle, timeEach, undisturbed } from '../support/pace.ts';
import { startProcess, type TestProcess } from '../support/process.ts';
import { createTemplate, template_database } from '../support/template.ts';
import { waitFor } from '../support/wait.ts';

// The smallest queue that there is: 64 pages of 8 KB.
const cluster = await startCluster({ durable: false, settings: ['max_notify_queue_pages=64'] });
await createTemplate(cluster);
const database = new Database({
  connection_string: cluster.url('lattice_app', template_database),
  size: 2,
  application_name: 'lattice test',
  logger: createLogger('silent'),
});
const sleeper = new pg.Client({ connectionString: cluster.url('postgres', template_database) });
await sleeper.connect();
const filler = new pg.Client({ connectionString: cluster.url('postgres', template_database) });
await filler.connect();
const posts = 30;
const environment = {
  DATABASE_URL: cluster.url('lattice_app', template_database),
  DATABASE_OWNER_URL: cluster.url('lattice_owner', template_database),
  LOG_LEVEL: 'silent',
};
afterAll(async () => {
  await sleeper.end();
  await filler.end();
  await database.end();
  await cluster.stop();
});

async function failedMessages({ url }: TestProcess): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(/^lattice_wake_messages_total\{outcome="failed"\} (\d+)/m.exec(text)?.[1] ?? 0);
}

/** Notifies until Postgres refuses. */
async function fillQueue(): Promise<void> {
  await waitFor('the queue is full', () =>
    filler.query("select pg_notify('filler', repeat('x', 7900)) from generate_series(1, 8)").then(
      () => false,
      (error: unknown) => error instanceof pg.DatabaseError && /NOTIFY queue/.test(error.message),
    ),
  );
  // The last free page holds a few small messages.
  await waitFor('there is no room at all', () =>
    filler
      .query("select pg_notify('filler', repeat('x', 20) || number) from generate_series(1, 20) number")
      .then(
        () => false,
        () => true,
      ),
  );
}

test('posting does not notice that the queue of NOTIFY is full, and streams hear of everything', async () => {
  const [one, other] = [await startProcess(environment), await startProcess(environment)];
  const tenant = await aTenant({}, database);
  const api = one.client(tenant.api_key);
  const [debit, credit] = [await anAccount(api), await anAccount(api)];
  let last = { position: 0 };
  const post = async () => {
    last = await aTransaction(api, { debit: debit.id, credit: credit.id });
  };
  const readers = [one, other].map(({ url }) => new LogReader({ url: () => url, api_key: tenant.api_key }));
  // The first ones find caches empty.
  await timeEach(posts, post);
  const before_ms = await timeEach(posts, post);
  for (const reader of readers) await reader.reached(last.position);

  await sleeper.query('listen filler');
  await sleeper.query('begin');
  await sleeper.query('select 1');
  await fillQueue();
  await timeEach(posts, post);
  for (const reader of readers) await reader.reached(last.position);
  await waitFor('messages have failed', async () => {
    await post();
    return (await failedMessages(one)) > 0;
  });
  const full_ms: number[] = [];
  for (let times = 0; times < 3; times += 1) full_ms.push(middle(await timeEach(posts, post)));
  // A machine that has much else to do for a while is not what is looked for.
  expect(Math.min(...full_ms)).toBeLessThan(undisturbed(before_ms));
  for (const reader of readers) await reader.reached(last.position);

  await sleeper.query('rollback');
  const failed = await failedMessages(one);
  await waitFor('messages go out again', async () => {
    const text = await (await fetch(`${one.url}/metrics`)).text();
    await post();
    return /lattice_wake_messages_total\{outcome="sent"\} [1-9]/.test(text);
  });
  for (const reader of readers) await reader.reached(last.position);
  expect(await failedMessages(one)).toBeLessThanOrEqual(failed + 1);
  for (const reader of readers) reader.close();
  expect(readers.map(({ problems, connections }) => ({ problems, connections }))).toEqual([
    { problems: [], connections: 1 },
    { problems: [], connections: 1 },
  ]);
}, 90_000);
