// Connections of the superuser: the guard that keeps a second Lattice away, and the database of a new cluster.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { z } from 'zod';
import { queries } from '../db.ts';
import { admin } from './cluster.ts';
import type { Postmaster } from './postmaster.ts';
import { database, type Secrets } from './secrets.ts';

const sql = queries(import.meta.url, 'guard_acquire', 'guard_holder', 'database_exists');

const AcquiredSchema = z.object({ acquired: z.boolean() });
const HolderSchema = z.object({ name: z.string() });
const ExistsSchema = z.object({ exists: z.boolean() });

const poll_ms = 10;
/** The connection of a killed process takes a moment to end. */
const guard_timeout_ms = 1_000;

interface Opened {
  /** `.lattice`, as the messages name it */
  directory: string;
  secrets: Secrets;
}

/** One Lattice per cluster: the guard is an advisory lock, so that a killed process holds nothing. Tells when its connection is lost. */
export async function takeGuard(
  cluster: Opened,
  running: Postmaster,
  onLost: () => void,
): Promise<pg.Client> {
  const client = await connect(cluster, running, `lattice guard ${process.pid}`);
  const deadline = performance.now() + guard_timeout_ms;
  for (;;) {
    const [acquired] = (await client.query(sql.guard_acquire.text)).rows;
    if (AcquiredSchema.parse(acquired).acquired) break;
    if (performance.now() > deadline) {
      const [holder] = (await client.query(sql.guard_holder.text)).rows;
      await client.end();
      const process_id = HolderSchema.parse(holder ?? { name: '' }).name.replace('lattice guard ', '');
      throw new Error(
        `another Lattice (process ${process_id}) runs on ${cluster.directory}: stop it, or set LATTICE_DATA_DIR to another directory`,
      );
    }
    await delay(poll_ms);
  }
  client.once('end', onLost);
  return client;
}

/** Roles with passwords, and the database last: when it is there, all is there. */
export async function createDatabase(cluster: Opened, client: pg.Client): Promise<void> {
  const [found] = (await client.query(sql.database_exists.text)).rows;
  if (ExistsSchema.parse(found).exists) return;
  await client.query(readFileSync(join(import.meta.dirname, '..', '..', 'sql', 'roles.sql'), 'utf8'));
  for (const [role, password] of [
    ['lattice_owner', cluster.secrets.owner_password],
    ['lattice_app', cluster.secrets.app_password],
    ['lattice_read', cluster.secrets.read_password],
  ] as const) {
    await client.query(`alter role ${role} password ${pg.escapeLiteral(password)}`);
  }
  await client.query(`create database ${database} owner lattice_owner`);
}

export async function connect(
  cluster: Opened,
  running: Postmaster,
  application_name: string,
): Promise<pg.Client> {
  const client = new pg.Client({
    host: running.socket_directory,
    port: running.port,
    user: admin,
    password: cluster.secrets.admin_password,
    database: 'postgres',
    application_name,
    connectionTimeoutMillis: 5_000,
    keepAlive: true,
  });
  // Every loss also ends the client, and the end is what is listened to.
  client.on('error', () => {});
  await client.connect();
  return client;
}
