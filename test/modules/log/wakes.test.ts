import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { Database } from '../../../src/db.ts';
import { createLogger } from '../../../src/log.ts';
import { Wakes } from '../../../src/modules/log/wakes.ts';
import { asSuperuser, atEnd, databaseUrl } from '../../support/database.ts';
import { aTenant } from '../../support/factories.ts';
import { waitFor } from '../../support/wait.ts';
import { append } from './following.ts';

interface Listening {
  database: Database;
  metrics: Registry;
  wakes: Wakes;
  /** what was heard of others */
  heard: [string, number][];
  resyncs: () => number;
}

/** A process that listens. Stops with the file. */
async function startListening(connection_string = databaseUrl('lattice_app')): Promise<Listening> {
  const logger = createLogger('silent');
  const metrics = new Registry();
  const database = new Database({
    connection_string: databaseUrl('lattice_app'),
    size: 2,
    application_name: 'lattice test, listening',
    logger,
  });
  const wakes = new Wakes({ database, connection_string, logger, metrics });
  const heard: [string, number][] = [];
  let resyncs = 0;
  database.onAppend((tenant_id, position, by) => {
    if (by === 'others') heard.push([tenant_id, position]);
  });
  wakes.onResync(() => {
    resyncs += 1;
  });
  wakes.start();
  atEnd(() => wakes.stop().then(() => database.end()));
  return { database, metrics, wakes, heard, resyncs: () => resyncs };
}

async function messagesOf({ metrics }: Listening): Promise<number> {
  const text = await metrics.metrics();
  return Number(/lattice_wake_messages_total\{outcome="sent"\} (\d+)/.exec(text)?.[1] ?? 0);
}

const CountSchema = z.object({ count: z.string() });

/** Ends the connections that listen, and answers how many there were. */
async function killListeners(): Promise<number> {
  const [row] = await asSuperuser(
    CountSchema,
    `select count(pg_terminate_backend(pid)) as count from pg_stat_activity
     where datname = current_database() and application_name = 'lattice listen'`,
  );
  return Number(row?.count);
}

test('what one process appends the others hear of, with the position it has come to', async () => {
  const [tenant, one, other] = [await aTenant(), await startListening(), await startListening()];
  await waitFor('both listen', () => one.wakes.is_connected && other.wakes.is_connected);
  const position = await append(tenant, 3, one.database);
  await waitFor('the other has heard', () => other.heard.length > 0);
  expect(other.heard).toEqual([[tenant.id, position]]);
  expect(one.heard).toEqual([]);
});

test('many commits are few messages, and the last position is among them', async () => {
  const [tenant, one, other] = [await aTenant(), await startListening(), await startListening()];
  await waitFor('both listen', () => one.wakes.is_connected && other.wakes.is_connected);
  const began_ms = performance.now();
  const told = 20_000;
  for (let position = 1; position <= told; position += 1) {
    one.database.appended(tenant.id, position);
    if (position % 200 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await waitFor('the other has heard the last', () => other.heard.at(-1)?.[1] === told);
  const elapsed_ms = performance.now() - began_ms;
  expect(await messagesOf(one)).toBeLessThanOrEqual(elapsed_ms / 10 + 1);
  const positions = other.heard.map(([, position]) => position);
  expect(positions).toEqual(positions.toSorted((a, b) => a - b));
});

test('hundreds of tenants fit, in as many messages as it takes', async () => {
  const [one, other] = [await startListening(), await startListening()];
  await waitFor('both listen', () => one.wakes.is_connected && other.wakes.is_connected);
  const tenants = Array.from(
    { length: 500 },
    (_, index) => `00000000-0000-7000-8000-${String(index).padStart(12, '0')}`,
  );
  for (const id of tenants) one.database.appended(id, 999_999_999_999_999);
  await waitFor('the other has heard of all', () => other.heard.length === tenants.length);
  expect(other.heard.map(([id]) => id).sort()).toEqual(tenants.toSorted());
});

test('a connection that is cut comes back, and says that something may have been missed', async () => {
  const [tenant, one, other] = [await aTenant(), await startListening(), await startListening()];
  for (let round = 1; round <= 5; round += 1) {
    await waitFor('both listen', () => one.wakes.is_connected && other.wakes.is_connected);
    const before = [one, other].map((each) => each.resyncs());
    expect(Math.min(...before)).toBeGreaterThanOrEqual(round);
    await killListeners();
    await waitFor('both are there again', () =>
      [one, other].every((each, index) => each.resyncs() > (before[index] ?? 0)),
    );
  }
  await waitFor('both listen', () => one.wakes.is_connected && other.wakes.is_connected);
  other.heard.length = 0;
  const position = await append(tenant, 1, one.database);
  await waitFor('the other has heard', () => other.heard.length > 0);
  expect(other.heard).toEqual([[tenant.id, position]]);
});

test('nobody is hurt by a message that is not ours', async () => {
  const other = await startListening();
  await waitFor('it listens', () => other.wakes.is_connected);
  const tenant = await aTenant();
  for (const text of [
    '',
    'x',
    'x y z',
    `x ${tenant.id}`,
    `x ${tenant.id}:`,
    `x ${tenant.id}:-1`,
    `x ${tenant.id}:7`,
  ]) {
    await asSuperuser(z.unknown(), "select pg_notify('lattice_log', $1)", [text]);
  }
  await waitFor('it has heard the one that is', () => other.heard.length > 0);
  expect(other.heard).toEqual([[tenant.id, 7]]);
});

test('a process without a connection to listen on starts, works and stops', async () => {
  const alone = await startListening('postgres://lattice_app@localhost:1/none?host=%2Fnonexistent');
  const tenant = await aTenant();
  await append(tenant, 1, alone.database);
  expect(alone.wakes.is_connected).toBe(false);
  await alone.wakes.stop();
});
