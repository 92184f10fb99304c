// One real PostgreSQL cluster of our own: made in a temporary directory, reached through a socket in it, gone when the run is.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { chown, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { findBinaries, findOsUser } from '../../src/embedded/binaries.ts';
import { postgres_environment } from '../../src/embedded/postmaster.ts';
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

export interface ClusterOptions {
  /** as production runs, with fsync */
  durable: boolean;
  /** further `name=value` of the server */
  settings?: string[];
  /** the programs of another version: `/usr/lib/postgresql/15/bin` */
  programs?: string;
}

/** Starts Postgres again whenever it dies, as the service manager of a real machine does. */
const supervised = [
  'while ! [ -e stopping ]; do "$@"; done >postgres.log 2>&1 & loop=$!',
  'read -r _; touch stopping',
  'while kill -0 $loop; do kill -QUIT "$(head -n 1 data/postmaster.pid)"; sleep 0.05; done 2>/dev/null',
  'rm -rf "$PWD"',
].join('\n');

export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const directory = await mkdtemp(join(tmpdir(), 'lattice-test-'));
  const user = findOsUser(null);
  if (user !== null) await chown(directory, user.uid, user.gid);
  const data = join(directory, 'data');
  const { initdb, postgres } =
    options.programs === undefined
      ? findBinaries(user)
      : { initdb: join(options.programs, 'initdb'), postgres: join(options.programs, 'postgres') };
  await promisify(execFile)(
    initdb,
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
    { ...user, cwd: directory, env: postgres_environment },
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
  const script = options.durable
    ? supervised
    : '"$@" >postgres.log 2>&1 & read -r _; kill -QUIT $!; wait $!; rm -rf "$PWD"';
  const shell = spawn(
    '/bin/sh',
    [...['-c', script, 'sh', postgres, '-D', data], ...settings.flatMap((setting) => ['-c', setting])],
    { ...user, cwd: directory, env: postgres_environment, stdio: ['pipe', 'ignore', 'inherit'] },
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
