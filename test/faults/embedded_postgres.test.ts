// What happens to the embedded Postgres when processes are killed, numbers are taken and files are left behind.
import { spawn } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { readPidFile } from '../../src/embedded/postmaster.ts';
import { openSocket, requestHead } from '../http/socket.ts';
import {
  aDataDirectory,
  lattice,
  preparedDirectory,
  runningPostgres,
  spawnLattice,
  startLattice,
} from '../support/lattice.ts';
import { freePort } from '../support/port.ts';
import { waitFor } from '../support/wait.ts';

const aMigratedDirectory = preparedDirectory();

/** The bound for being ready again. */
const ready_again_ms = 5_000;
/** A signal that comes sooner after the first is taken for the same one (src/cli/start.ts). */
const same_signal_ms = 400;

const passwords = { admin_password: 'a', owner_password: 'b', app_password: 'c', read_password: 'd' };

function platformKey(directory: string): string {
  const text = readFileSync(join(directory, 'platform.json'), 'utf8');
  return z.object({ api_key: z.string() }).parse(JSON.parse(text)).api_key;
}

async function readiness(url: string): Promise<number> {
  return fetch(`${url}/readyz`).then(
    async (response) => {
      await response.arrayBuffer();
      return response.status;
    },
    () => 0,
  );
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

test('a Lattice that is killed leaves Postgres running; the next one adopts it, and stops it in the end', async () => {
  const directory = await aMigratedDirectory();
  const first = await startLattice({ LATTICE_DATA_DIR: directory });
  const postgres = runningPostgres(directory);
  first.signal('SIGKILL');
  await first.ended;
  expect(runningPostgres(directory)).toBe(postgres);

  const began = performance.now();
  const second = await startLattice({ LATTICE_DATA_DIR: directory });
  expect(await readiness(second.url)).toBe(200);
  expect(performance.now() - began).toBeLessThan(ready_again_ms);
  expect(second.output()).toContain(`adopted in ${directory}/postgres`);
  expect(runningPostgres(directory)).toBe(postgres);
  second.signal('SIGTERM');
  expect(await second.ended).toMatchObject({ status: 0 });
  expect(runningPostgres(directory)).toBeNull();
});

test('a Postgres that is killed is started again, and the same process is ready again within 5 s', async () => {
  const directory = await aMigratedDirectory();
  const { url, output } = await startLattice({ LATTICE_DATA_DIR: directory });
  const killed = runningPostgres(directory);
  expect(killed).not.toBeNull();
  process.kill(Number(killed), 'SIGKILL');
  const began = performance.now();
  await waitFor('another Postgres runs', () => ![null, killed].includes(runningPostgres(directory)));
  await waitFor('it is ready again', async () => (await readiness(url)) === 200);
  expect(performance.now() - began).toBeLessThan(ready_again_ms);
  expect(output()).toContain('PostgreSQL ended by itself and is started again');
  const me = await fetch(`${url}/v1/me`, { headers: { Authorization: `Bearer ${platformKey(directory)}` } });
  expect(me.status).toBe(200);
});

test('a Postgres whose port was taken while it was down is reached by its socket', async () => {
  const directory = await aMigratedDirectory();
  const { url, signal, output } = await startLattice({
    LATTICE_DATA_DIR: directory,
    LATTICE_POSTGRES_PORT: String(await freePort()),
  });
  const killed = readPidFile(join(directory, 'postgres'));
  if (killed === null) throw new Error('no Postgres runs');
  // While it is halted, Lattice cannot start Postgres again before somebody else has the port.
  signal('SIGSTOP');
  process.kill(killed.pid, 'SIGKILL');
  await waitFor('Postgres has gone', () => runningPostgres(directory) === null);
  const squatter = createServer();
  await new Promise<void>((resolve) => squatter.listen(killed.port, '127.0.0.1', resolve));
  onTestFinished(() => {
    squatter.close();
  });
  signal('SIGCONT');
  await waitFor('it is ready again', async () => (await readiness(url)) === 200);
  expect(output()).toContain('PostgreSQL listens on its socket only');
});

test('told to stop while Postgres is being started again, it leaves nothing running', async () => {
  const directory = await aMigratedDirectory();
  const { signal, ended, output } = await startLattice({ LATTICE_DATA_DIR: directory });
  process.kill(Number(runningPostgres(directory)), 'SIGKILL');
  await waitFor('it has noticed', () => output().includes('is started again'));
  signal('SIGTERM');
  expect((await ended).status).toBe(0);
  expect(runningPostgres(directory)).toBeNull();
});

test('a backend that is killed takes all connections with it, and the process is ready again', async () => {
  const directory = await aMigratedDirectory();
  const { url } = await startLattice({ LATTICE_DATA_DIR: directory });
  const postmaster = runningPostgres(directory);
  const children = readFileSync(`/proc/${postmaster}/task/${postmaster}/children`, 'utf8').trim().split(' ');
  const backend = children
    .map(Number)
    .find((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('lattice_app'));
  process.kill(Number(backend), 'SIGKILL');
  const began = performance.now();
  await waitFor('it is ready again', async () => (await readiness(url)) === 200);
  expect(performance.now() - began).toBeLessThan(ready_again_ms);
  expect(runningPostgres(directory)).toBe(postmaster);
});

test('both killed at once: the next start recovers', async () => {
  const directory = await aMigratedDirectory();
  const first = await startLattice({ LATTICE_DATA_DIR: directory });
  const key = platformKey(directory);
  first.signal('SIGKILL');
  process.kill(Number(runningPostgres(directory)), 'SIGKILL');
  await first.ended;
  const began = performance.now();
  const second = await startLattice({ LATTICE_DATA_DIR: directory });
  expect(performance.now() - began).toBeLessThan(ready_again_ms);
  expect(platformKey(directory)).toBe(key);
  expect(second.output()).toContain('started in');
});

test('a postmaster.pid with the number of a stranger is not believed', async () => {
  const directory = await aMigratedDirectory();
  const stranger = spawn('sleep', ['60']);
  onTestFinished(() => {
    stranger.kill();
  });
  const lines = [
    stranger.pid,
    join(directory, 'postgres'),
    1_700_000_000,
    5432,
    '/tmp',
    '127.0.0.1',
    '',
    'ready',
  ];
  writeFileSync(join(directory, 'postgres', 'postmaster.pid'), `${lines.join('\n')}\n`);
  const { output } = await startLattice({ LATTICE_DATA_DIR: directory });
  expect(output()).toContain('started in');
  expect(isAlive(Number(stranger.pid))).toBe(true);
});

test('a postmaster.pid of a process that is gone, or cut short, does not matter', async () => {
  const directory = await aMigratedDirectory();
  for (const content of ['4194303\n', '', 'rubbish']) {
    writeFileSync(join(directory, 'postgres', 'postmaster.pid'), content);
    expect(await lattice(['migrate'], { LATTICE_DATA_DIR: directory })).toMatchObject({
      status: 0,
      stderr: '',
    });
  }
});

test('a port that is taken is told in one line when it was asked for, and another one taken when not', async () => {
  const directory = await aMigratedDirectory();
  const port = await freePort();
  const squatter = createServer();
  await new Promise<void>((resolve) => squatter.listen(port, '127.0.0.1', resolve));
  onTestFinished(() => {
    squatter.close();
  });
  const environment = { LATTICE_DATA_DIR: directory, LATTICE_POSTGRES_PORT: String(port) };
  const { status, stderr } = await lattice(['start', '--no-demo'], environment);
  expect({ status, stderr }).toEqual({
    status: 1,
    stderr: `lattice: port ${port} for the embedded PostgreSQL is taken: set LATTICE_POSTGRES_PORT to another, or to 0 for any\n`,
  });
  const { output } = await startLattice({ LATTICE_DATA_DIR: directory });
  expect(output()).toContain('started in');
});

test('the directory of another major version is refused in one line, and left as it is', async () => {
  const directory = await aDataDirectory();
  mkdirSync(join(directory, 'postgres'));
  writeFileSync(join(directory, 'postgres', 'PG_VERSION'), '17\n');
  writeFileSync(join(directory, 'postgres.json'), JSON.stringify(passwords));
  const { status, stderr } = await lattice(['start'], { LATTICE_DATA_DIR: directory });
  expect(status).toBe(1);
  expect(stderr).toMatch(
    /^lattice: \S+ was made by PostgreSQL 17, this is 18\.\d+: move it away to begin anew, or .*\n$/,
  );
  expect(runningPostgres(directory)).toBeNull();
});

test('a database whose passwords are lost or damaged, and a directory that is no database, are refused in one line', async () => {
  const directory = await aDataDirectory();
  mkdirSync(join(directory, 'postgres'));
  writeFileSync(join(directory, 'postgres', 'PG_VERSION'), '18\n');
  const lost = await lattice(['start'], { LATTICE_DATA_DIR: directory });
  expect(lost).toMatchObject({ status: 1, stdout: '' });
  expect(lost.stderr).toMatch(
    /^lattice: \S+ is a database whose passwords are lost: restore \S+postgres\.json, .*\n$/,
  );

  writeFileSync(join(directory, 'postgres.json'), '{"admin_password":');
  const damaged = await lattice(['start'], { LATTICE_DATA_DIR: directory });
  expect(damaged).toMatchObject({ status: 1, stdout: '' });
  expect(damaged.stderr).toMatch(/^lattice: \S+postgres\.json is damaged: restore it, or move it and .*\n$/);

  const other = await aDataDirectory();
  mkdirSync(join(other, 'postgres'));
  writeFileSync(join(other, 'postgres', 'notes.txt'), 'mine');
  const foreign = await lattice(['start'], { LATTICE_DATA_DIR: other });
  expect(foreign).toMatchObject({ status: 1, stdout: '' });
  expect(foreign.stderr).toMatch(/^lattice: \S+ exists and is not a database: move it away\n$/);
});

test('a database that cannot be started is told with what ended it', async () => {
  const directory = await aMigratedDirectory();
  const wal = join(directory, 'postgres', 'pg_wal');
  for (const name of readdirSync(wal)) if (/^[0-9A-F]{24}$/.test(name)) rmSync(join(wal, name));
  const { status, stdout, stderr } = await lattice(['start'], { LATTICE_DATA_DIR: directory });
  expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
  expect(stderr).toMatch(
    /^lattice: PostgreSQL did not start: [^\n]*PANIC: {2}could not locate a valid checkpoint record[^\n]*\n$/,
  );
});

test('a second Lattice on the same directory is refused in one line, and the first one does not notice', async () => {
  const directory = await aMigratedDirectory();
  const first = await startLattice({ LATTICE_DATA_DIR: directory });
  const { status, stderr } = await lattice(['start'], { LATTICE_DATA_DIR: directory });
  expect({ status, stderr }).toEqual({
    status: 1,
    stderr: `lattice: another Lattice (process ${first.pid}) runs on ${directory}: stop it, or set LATTICE_DATA_DIR to another directory\n`,
  });
  expect(await readiness(first.url)).toBe(200);
});

test('commands use the Postgres that runs, and leave it running', async () => {
  const directory = await aMigratedDirectory();
  await startLattice({ LATTICE_DATA_DIR: directory });
  const postgres = runningPostgres(directory);
  expect(await lattice(['migrate'], { LATTICE_DATA_DIR: directory })).toMatchObject({ status: 0 });
  expect(runningPostgres(directory)).toBe(postgres);
});

test('two first starts at once: one makes the database, the other is refused or waits its turn', async () => {
  const directory = await aDataDirectory();
  const both = await Promise.all(
    [1, 2].map(() => lattice(['migrate', '--json'], { LATTICE_DATA_DIR: directory })),
  );
  const done = both.filter(({ status }) => status === 0);
  expect(done.length).toBeGreaterThan(0);
  for (const { status, stderr } of both) if (status !== 0) expect(stderr).toMatch(/^lattice: [^\n]+\n$/);
  expect(await lattice(['migrate', '--json'], { LATTICE_DATA_DIR: directory })).toMatchObject({
    status: 0,
    stdout: '{"applied":[],"functions":[],"partitions":0}\n',
  });
});

test('a data directory deep in a closed home works: the socket goes elsewhere, and for root the cluster too', async () => {
  const closed = await aDataDirectory();
  const directory = join(
    closed,
    'a-directory-of-a-rather-long-name',
    'and-another-one-of-some-length-below-it',
    '.lattice',
  );
  mkdirSync(dirname(directory), { recursive: true });
  chmodSync(closed, 0o700);
  const started = await startLattice({ LATTICE_DATA_DIR: directory });
  expect(await readiness(started.url)).toBe(200);
  started.signal('SIGTERM');
  expect(await started.ended).toMatchObject({ status: 0, stderr: '' });
  if (process.getuid?.() === 0) {
    const cluster = readlinkSync(join(directory, 'postgres'));
    expect(cluster).toMatch(/^\/var\/lib\/lattice\/cluster-\w+\/postgres$/);
    rmSync(dirname(cluster), { recursive: true });
  }
});

test('a second signal ends the process at once, and Postgres still shuts down in order', async () => {
  const directory = await aMigratedDirectory();
  const { url, signal, ended, output } = await startLattice({ LATTICE_DATA_DIR: directory });
  // A request whose body never comes holds the first, graceful stop. One whose head never comes does so for half a second only.
  const { socket } = await openSocket(url);
  onTestFinished(() => {
    socket.destroy();
  });
  const headers = { 'Idempotency-Key': 'endless', 'Content-Type': 'application/json', 'Content-Length': 100 };
  socket.write(requestHead('/v1/tenants', headers, platformKey(directory)));
  // It has come when a later one is answered.
  expect(await readiness(url)).toBe(200);
  signal('SIGTERM');
  await waitFor('it is stopping', () => output().includes('Stopping'));
  const counts_at = performance.now() + same_signal_ms;
  await waitFor('a second signal counts as one', () => performance.now() > counts_at);
  expect(runningPostgres(directory)).not.toBeNull();
  signal('SIGTERM');
  expect(await ended).toMatchObject({ status: 143 });
  await waitFor('Postgres has gone', () => runningPostgres(directory) === null);
  expect(readFileSync(join(directory, 'postgres.log'), 'utf8')).toContain('database system is shut down');
});

test('stopped while it is still starting, it ends in order and leaves nothing running', async () => {
  const directory = await aDataDirectory();
  const { signal, ended } = spawnLattice(['start'], { LATTICE_DATA_DIR: directory });
  await waitFor('initdb works', () =>
    readdirSync(directory).some((name) => name.startsWith('postgres.new-')),
  );
  signal('SIGTERM');
  expect(await ended).toMatchObject({ status: 0, stderr: '' });
  expect(runningPostgres(directory)).toBeNull();
});
