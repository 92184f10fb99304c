// What tests of consumers share: a process that follows the log, a log to follow, and a table in which effects can be counted.
import { Registry } from 'prom-client';
import { z } from 'zod';
import type { Consumer } from '../../../src/consumer.ts';
import { Database, parseQueries, type Tx } from '../../../src/db.ts';
import { newUuid } from '../../../src/id.ts';
import { createLogger } from '../../../src/log.ts';
import { ConsumerLag } from '../../../src/modules/log/consumer_lag.ts';
import { ConsumerMetrics } from '../../../src/modules/log/consumer_metrics.ts';
import { type Retries, type Slice, transactionConsumer } from '../../../src/modules/log/consumers.ts';
import { appendEvent, listEvents } from '../../../src/modules/log/events.ts';
import type { ListTenants } from '../../../src/modules/log/known_tenants.ts';
import { ConsumerRunner } from '../../../src/modules/log/runner.ts';
import { Wakes } from '../../../src/modules/log/wakes.ts';
import { listTenants } from '../../../src/modules/tenants/index.ts';
import { asSuperuser, atEnd, database, databaseUrl } from '../../support/database.ts';
import { platform, type TestTenant } from '../../support/factories.ts';

export interface Process {
  database: Database;
  metrics: Registry;
  runner: ConsumerRunner;
  wakes: Wakes;
  stop: () => Promise<void>;
}

/** As quick as failures may come one after the other. */
const quick_retries: Retries = { max_attempts: 3, first_retry_ms: 5, max_retry_ms: 20 };

/** A process that does nothing but follow. Stops with the file. */
export async function startFollowing(
  consumers: (database: Database) => Consumer[],
  retries = quick_retries,
): Promise<Process> {
  const own = new Database({
    connection_string: databaseUrl('lattice_app'),
    size: 10,
    application_name: 'lattice test, following',
    logger: createLogger('silent'),
  });
  const metrics = new Registry();
  const logger = createLogger('silent');
  const wakes = new Wakes({ database: own, connection_string: databaseUrl('lattice_app'), logger, metrics });
  const followed = consumers(own);
  const listAll: ListTenants = async (page) => {
    const rows = await own.read(platform, (tx) => listTenants(tx, { ...page, status: null }));
    return rows.map(({ id }) => id);
  };
  const lag = new ConsumerLag({
    database: own,
    logger,
    metrics,
    wakes,
    consumers: () => followed,
    listTenants: listAll,
  });
  const runner = new ConsumerRunner({
    database: own,
    logger,
    wakes,
    metrics: new ConsumerMetrics(
      metrics,
      followed.map(({ name }) => name),
    ),
    consumers: followed,
    listTenants: listAll,
    retries,
  });
  wakes.start();
  lag.start();
  await runner.start();
  let stopping: Promise<void> | null = null;
  const stop = () => {
    lag.stop();
    stopping ??= runner
      .stop()
      .then(() => wakes.stop())
      .then(() => own.end());
    return stopping;
  };
  atEnd(stop);
  return { database: own, metrics, runner, wakes, stop };
}

/** Appends so many events in one transaction; through the tests' own pool, as another process would, unless told otherwise. */
export async function append(tenant: TestTenant, count: number, by: Database = database): Promise<number> {
  return by.transaction(tenant.actor, async (tx) => {
    let position = 0;
    for (let index = 0; index < count; index += 1) {
      const event = { type: 'test.thing_happened', subject_id: newUuid(), data: { index } };
      ({ position } = await appendEvent(tx, event));
    }
    return position;
  });
}

const queries = parseQueries(`
-- name: effect_insert
insert into public.effect (tenant_id, consumer, position, slice_start) values ($tenant_id, $consumer, $position, $slice_start);
-- name: lock_wait
select pg_advisory_xact_lock_shared($key);
-- name: statement_fail
select 1 / 0;
-- name: deadlock_raise
do $body$ begin raise exception using errcode = '40P01'; end $body$;
`);

export function query(name: string) {
  const found = queries.get(name);
  if (found === undefined) throw new Error(`no query ${name}`);
  return found;
}

/** To be called once in a file. No unique key: an effect that happens twice is to be seen. */
export async function createEffects(): Promise<void> {
  await asSuperuser(
    z.unknown(),
    `create table public.effect (
       tenant_id uuid not null, consumer text not null, position bigint not null, slice_start bigint not null,
       number bigint generated always as identity
     )`,
  );
  await asSuperuser(z.unknown(), 'grant select, insert on public.effect to lattice_app');
}

export async function writeEffects(tx: Tx, consumer: string, slice: Slice): Promise<void> {
  const { after, up_to } = slice;
  const events = await listEvents(tx, { after, up_to, types: null, row_limit: up_to - after });
  const { tenant_id } = tx.actor;
  for (const { position } of events) {
    await tx.run(query('effect_insert'), { tenant_id, consumer, position, slice_start: after });
  }
}

/** A consumer that writes one effect for each event. */
export function effectConsumer(
  of: Database,
  name: string,
  handle: (tx: Tx, slice: Slice) => Promise<void> = (tx, slice) => writeEffects(tx, name, slice),
): Consumer {
  return transactionConsumer(of, { name, description: 'Writes an effect for each event' }, handle);
}

/** The positions of a consumer's effects in a tenant, in the order in which they happened. */
export async function effectsOf(tenant: TestTenant, consumer: string): Promise<number[]> {
  const rows = await asSuperuser(
    z.object({ position: z.string() }),
    'select position from public.effect where tenant_id = $1 and consumer = $2 order by number',
    [tenant.id, consumer],
  );
  return rows.map(({ position }) => Number(position));
}

/** 1, 2, 3 … */
export function upTo(position: number): number[] {
  return Array.from({ length: position }, (_, index) => index + 1);
}
