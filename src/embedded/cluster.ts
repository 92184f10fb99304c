// A new cluster, made by initdb.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type Binaries, canEnter, type OsUser, openSystemDirectory } from './binaries.ts';
import { postgres_environment } from './postmaster.ts';

/** The superuser; nobody but us has its password. */
export const admin = 'lattice_admin';

/** An eighth of what the machine or the container has: the part of a large ledger's indexes that postings touch should fit. */
function sharedBuffersMb(): number {
  const bytes = Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);
  return Math.max(128, Math.min(2_048, Math.floor(bytes / 8 / 2 ** 20)));
}

/** Durable first, then tuned for a developer's machine. They stand in postgresql.conf, where they can be changed. */
const settings: Record<string, string> = {
  fsync: 'on',
  full_page_writes: 'on',
  synchronous_commit: 'on',
  shared_buffers: `${sharedBuffersMb()}MB`,
  max_wal_size: '2GB',
  // Filling a new segment of the WAL with zeroes lets all postings wait for some 40 ms, every second or two until the first segments come round
  // again. A commit is as durable without: fdatasync writes what it takes to find the blocks.
  wal_init_zero: 'off',
  checkpoint_timeout: '15min',
  // Compressing the pages of a large ledger's indexes took a third of what a posting costs Postgres, and this build of Postgres has no lz4.
  wal_compression: 'off',
  wal_buffers: '16MB',
  jit: 'off',
  random_page_cost: '1.1',
  max_connections: '120',
  max_locks_per_transaction: '256',
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_min_messages: 'warning',
};

/** initdb works beside the final place and is renamed there, so that a half-made cluster is never taken for one. */
export async function createCluster(
  cluster_link: string,
  { binaries, user, password }: { binaries: Binaries; user: OsUser | null; password: string },
): Promise<void> {
  if (isDanglingLink(cluster_link)) unlinkSync(cluster_link);
  if (existsSync(cluster_link) && readdirSync(cluster_link).length > 0) {
    throw new Error(`${cluster_link} exists and is not a database: move it away`);
  }
  const home = user === null || canEnter(dirname(cluster_link), user) ? null : homeForRoot();
  const unfinished = mkdtempSync(join(home ?? dirname(cluster_link), 'postgres.new-'));
  const password_path = `${unfinished}.password`;
  try {
    writeFileSync(password_path, password, { mode: 0o600, flag: 'wx' });
    if (user !== null) {
      chownSync(unfinished, user.uid, user.gid);
      chownSync(password_path, user.uid, user.gid);
    }
    await runInitdb(binaries, user, unfinished, password_path);
    putInPlace(unfinished, home, cluster_link);
  } finally {
    rmSync(password_path, { force: true });
    rmSync(unfinished, { force: true, recursive: true });
  }
}

/** Of two first starts at once the cluster of the first stays: its passwords are the same. `home` is where it lies when not in its own place. */
function putInPlace(unfinished: string, home: string | null, cluster_link: string): void {
  try {
    renameSync(unfinished, home === null ? cluster_link : join(home, 'postgres'));
    if (home !== null) symlinkSync(join(home, 'postgres'), cluster_link);
  } catch (error) {
    if (!existsSync(join(cluster_link, 'PG_VERSION'))) throw error;
    if (home !== null) rmSync(home, { force: true, recursive: true });
  }
}

function isDanglingLink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true && !existsSync(path);
}

/** A home of root is closed to the user that runs Postgres: the cluster then lives under /var/lib, and a link points there. */
function homeForRoot(): string {
  const home = mkdtempSync(join(openSystemDirectory(), 'cluster-'));
  chmodSync(home, 0o711);
  return home;
}

async function runInitdb(
  binaries: Binaries,
  user: OsUser | null,
  pgdata: string,
  password_path: string,
): Promise<void> {
  const initdb = spawn(
    binaries.initdb,
    [
      `--pgdata=${pgdata}`,
      `--username=${admin}`,
      `--pwfile=${password_path}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      '--locale=C',
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      ...Object.entries(settings).map(([name, value]) => `--set=${name}=${value}`),
    ],
    { ...user, cwd: pgdata, stdio: ['ignore', 'ignore', 'pipe'], env: postgres_environment },
  );
  const [said, [status]] = await Promise.all([text(initdb.stderr), once(initdb, 'close')]);
  if (status !== 0) throw new Error(`initdb failed: ${said.trim().replaceAll('\n', ' ')}`);
}
