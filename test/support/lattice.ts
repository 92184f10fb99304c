// The command line as people and their scripts run it, in a process of its own, and data directories for its embedded Postgres.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, onTestFailed, onTestFinished } from 'vitest';
import { isPostmaster, readPidFile } from '../../src/embedded/postmaster.ts';
import { inherited_environment } from './environment.ts';
import { root } from './source.ts';
import { waitFor } from './wait.ts';

const main = join(root, 'src/main.ts');
const run = promisify(execFile);

export interface Ended {
  /** the exit status, or the signal that ended it */
  status: number | NodeJS.Signals;
  stdout: string;
  stderr: string;
}

export interface Running {
  pid: number;
  /** what it has written so far, both streams */
  output: () => string;
  signal: (name: NodeJS.Signals) => void;
  /** reads no more of its standard output, which breaks the pipe */
  hangUp: () => void;
  hasEnded: () => boolean;
  ended: Promise<Ended>;
}

/** Starts a command; what is left of it goes with the test. Nothing of our own environment reaches it. */
export function spawnLattice(words: string[], environment: Record<string, string> = {}): Running {
  const child = spawn(process.execPath, [main, ...words], {
    cwd: root,
    // A process group of its own, as a terminal gives it.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...inherited_environment, PORT: '0', ...environment },
  });
  const running = watch(child);
  onTestFailed(() => {
    console.error(`lattice ${words.join(' ')} wrote:\n${running.output()}`);
  });
  onTestFinished(async () => {
    running.signal('SIGKILL');
    await running.ended;
  });
  return running;
}

function watch(child: ChildProcess): Running {
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  return {
    pid: child.pid ?? 0,
    output: () => stdout + stderr,
    signal: (name) => child.kill(name),
    hangUp: () => child.stdout?.destroy(),
    hasEnded: () => child.exitCode !== null || child.signalCode !== null,
    ended: new Promise((resolve) => {
      child.once('close', (code, signal) => resolve({ status: signal ?? code ?? 0, stdout, stderr }));
    }),
  };
}

/** Runs a command to its end. */
export function lattice(words: string[], environment: Record<string, string> = {}): Promise<Ended> {
  return spawnLattice(words, environment).ended;
}

/** Starts the server and answers when it says where it listens. */
export async function startLattice(
  environment: Record<string, string>,
  words: string[] = ['start', '--no-demo'],
): Promise<Running & { url: string }> {
  const running = spawnLattice(words, environment);
  const url = await waitFor(
    'Lattice says where it listens',
    () => {
      if (running.hasEnded()) throw new Error(`it has ended:\n${running.output()}`);
      return /API +(http:\S+)\/v1/.exec(running.output())?.[1] ?? null;
    },
    { timeout_ms: 60_000 },
  );
  return { ...running, url };
}

/** A directory that goes with the test, together with the Postgres that may still run on it. */
export async function aDataDirectory(parent = tmpdir()): Promise<string> {
  const directory = await mkdtemp(join(parent, 'lattice-data-'));
  onTestFinished(async () => {
    const pid = runningPostgres(directory);
    if (pid !== null) {
      process.kill(pid, 'SIGQUIT');
      await waitFor('Postgres has gone', () => runningPostgres(directory) === null);
    }
    await rm(directory, { recursive: true, force: true });
  });
  return directory;
}

/** A migrated data directory that is left alone; for the top of a file, whose tests take copies of it. */
export function preparedDirectory(): () => Promise<string> {
  let prepared = '';
  beforeAll(async () => {
    prepared = await mkdtemp(join(tmpdir(), 'lattice-prepared-'));
    const env = { ...inherited_environment, LATTICE_DATA_DIR: prepared };
    await run(process.execPath, [main, 'migrate'], { env });
  });
  afterAll(() => rm(prepared, { recursive: true, force: true }));
  return async () => {
    const copy = await aDataDirectory();
    // Keeps owners and modes, as fs.cp does not.
    await run('cp', ['-a', `${prepared}/.`, copy]);
    return copy;
  };
}

/** The process id of the Postgres that runs on a data directory. */
export function runningPostgres(directory: string): number | null {
  const found = readPidFile(join(directory, 'postgres'));
  return found !== null && isPostmaster(found.pid, join(directory, 'postgres')) ? found.pid : null;
}
