// The postmaster as a process: found by its postmaster.pid, started apart from us, stopped by signals.
import { spawn, spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Binaries, OsUser } from './binaries.ts';

/** postmaster.pid says when it is ready; it is looked at this often while starting and stopping. */
const poll_ms = 5;
/** After a crash it first reads the log again: seconds as a rule, minutes after a bulk load on a slow disk. */
export const recovery_timeout_ms = 900_000;
const slow_start_ms = 5_000;
/** A fast shutdown writes a checkpoint. After this it is made to stop without one; the log replays at the next start. */
const stop_timeout_ms = 20_000;
const log_size_max_bytes = 10_000_000;

export interface Postmaster {
  pid: number;
  port: number;
  socket_directory: string;
  status: string;
}

/** What postmaster.pid says, whether or not it is true; null without one. Its lines are documented in miscadmin.h. */
export function readPidFile(pgdata: string): Postmaster | null {
  const lines = maybeText(join(pgdata, 'postmaster.pid'))
    ?.split('\n')
    .map((line) => line.trim());
  const [pid = '', , , port = '', socket_directory = '', , , status = ''] = lines ?? [];
  if (!/^\d+$/.test(pid)) return null;
  return { pid: Number(pid), port: Number(port), socket_directory, status };
}

/** null when there is no such file, or no longer. */
function maybeText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH')) {
      return null;
    }
    throw error;
  }
}

/** Whether the process of a postmaster.pid still is a postmaster of this directory, and not a stranger with the same number. */
export function isPostmaster(pid: number, pgdata: string): boolean {
  if (!isAlive(pid)) return false;
  if (!existsSync('/proc/self/cwd')) {
    const command = spawnSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' });
    return command.stdout.includes(pgdata);
  }
  try {
    // A postmaster's working directory is its data directory.
    return readlinkSync(`/proc/${pid}/cwd`) === pgdata;
  } catch {
    // Not ours to look at, so it is not the one that we started.
    return false;
  }
}

/** A process that was killed and not yet waited for is dead too. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
  const status = maybeText(`/proc/${pid}/status`);
  return status === null || !/^State:\s+Z/m.test(status);
}

export class StartError extends Error {
  /** what Postgres has logged since */
  readonly log: string;

  constructor(log: string) {
    super(`PostgreSQL did not start: ${reasonOf(log)}`);
    this.log = log;
  }
}

/** What ended it, which its last lines only follow from; those, if it says no such thing. */
function reasonOf(log: string): string {
  const lines = log.split('\n');
  const ends = lines.filter((line) => /\b(FATAL|PANIC): /.test(line));
  return (ends.length > 0 ? ends : lines).slice(-3).join(' ');
}

/**
 * Starts a postmaster in a session of its own, so that neither Ctrl-C nor our death reaches it, and waits until it takes connections.
 * Its output goes to a file, because a pipe would break with us.
 */
export async function startPostmaster(
  binaries: Binaries,
  user: OsUser | null,
  options: {
    pgdata: string;
    log_path: string;
    /** of the loopback, and in the name of the socket */
    port: number;
    socket_directory: string;
    /** whether to listen on the loopback too */
    on_loopback: boolean;
    /** it takes so long that somebody should be told */
    onSlow: () => void;
  },
): Promise<Postmaster> {
  if (existsSync(options.log_path) && statSync(options.log_path).size > log_size_max_bytes) {
    renameSync(options.log_path, `${options.log_path}.1`);
  }
  const log = openSync(options.log_path, 'a', 0o600);
  const log_start = statSync(options.log_path).size;
  const child = spawn(
    binaries.postgres,
    [
      '-D',
      options.pgdata,
      '-p',
      String(options.port),
      '-c',
      `listen_addresses=${options.on_loopback ? '127.0.0.1' : ''}`,
      '-c',
      `unix_socket_directories=${options.socket_directory}`,
      '-c',
      'unix_socket_permissions=0700',
    ],
    { ...user, cwd: options.pgdata, detached: true, stdio: ['ignore', log, log], env: postgres_environment },
  );
  closeSync(log);
  let failed: Error | null = null;
  child.on('error', (error) => {
    failed = error;
  });
  const slow = setTimeout(options.onSlow, slow_start_ms);
  const deadline = performance.now() + recovery_timeout_ms;
  try {
    for (;;) {
      if (failed !== null) throw failed;
      if (child.exitCode !== null || child.signalCode !== null || performance.now() > deadline) {
        child.kill('SIGQUIT');
        throw new StartError(readFileSync(options.log_path).subarray(log_start).toString().trim());
      }
      const found = readPidFile(options.pgdata);
      if (found !== null && found.pid === child.pid && found.status === 'ready') {
        child.unref();
        return found;
      }
      await delay(poll_ms);
    }
  } finally {
    clearTimeout(slow);
  }
}

/** Fast shutdown: sessions are cut, a checkpoint is written. Answers when the process is gone. */
export async function stopPostmaster(pid: number): Promise<void> {
  signal(pid, 'SIGINT');
  await gone(pid, stop_timeout_ms);
  if (!isAlive(pid)) return;
  signal(pid, 'SIGQUIT');
  await gone(pid, stop_timeout_ms);
}

/** Waits for a process to end. */
async function gone(pid: number, timeout_ms: number): Promise<void> {
  const deadline = performance.now() + timeout_ms;
  while (isAlive(pid) && performance.now() < deadline) await delay(poll_ms);
}

export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    // It went by itself in between.
    if (isAlive(pid)) throw error;
  }
}

export function hasPidFile(pgdata: string): boolean {
  return existsSync(join(pgdata, 'postmaster.pid'));
}

export function removePidFile(pgdata: string): void {
  rmSync(join(pgdata, 'postmaster.pid'), { force: true });
}

/** A free port of the loopback interface. Somebody may take it before Postgres does; then Postgres says so and another is tried. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no free port on 127.0.0.1');
  return address.port;
}

/** Nothing of the caller's settings and language may change what the server does. */
export const postgres_environment = { LC_ALL: 'C', TZ: 'UTC', PATH: '/usr/bin:/bin' };
