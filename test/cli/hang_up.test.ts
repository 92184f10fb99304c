// Nobody listens any more: a pipe that is broken, a terminal that is closed. What runs ends in order, and leaves no Postgres behind.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { inherited_environment } from '../support/environment.ts';
import { preparedDirectory, runningPostgres, spawnLattice, startLattice } from '../support/lattice.ts';
import { root } from '../support/source.ts';
import { waitFor } from '../support/wait.ts';

const aMigratedDirectory = preparedDirectory();

test('SIGHUP stops it as SIGTERM does, although nobody reads what it says', async () => {
  const directory = await aMigratedDirectory();
  const { hangUp, signal, ended } = await startLattice({
    LATTICE_DATA_DIR: directory,
    LOG_LEVEL: 'trace',
  });
  hangUp();
  signal('SIGHUP');
  expect(await ended).toMatchObject({ status: 0, stderr: '' });
  expect(runningPostgres(directory)).toBeNull();
});

test('a start whose output nobody reads ends, and says so', async () => {
  const directory = await aMigratedDirectory();
  const { hangUp, ended } = spawnLattice(['start', '--no-demo'], { LATTICE_DATA_DIR: directory });
  hangUp();
  expect(await ended).toMatchObject({
    status: 1,
    stderr: 'lattice: nobody reads what it says (standard output is closed), so it has stopped\n',
  });
  expect(runningPostgres(directory)).toBeNull();
});

test('a terminal that is closed stops it, also in the middle of its log', async () => {
  const directory = await aMigratedDirectory();
  const command = `echo "process $$"; exec '${process.execPath}' '${join(root, 'src/main.ts')}' start --no-demo`;
  const terminal = spawn('script', ['--quiet', '--command', command, '/dev/null'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { ...inherited_environment, PORT: '0', LOG_LEVEL: 'trace', LATTICE_DATA_DIR: directory },
  });
  let output = '';
  terminal.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const pid = () => Number(/process (\d+)/.exec(output)?.[1]);
  // What has ended has none, although nobody may have waited for it.
  const isGone = () => !existsSync(`/proc/${pid()}/exe`);
  onTestFinished(() => {
    if (!isGone()) process.kill(pid(), 'SIGKILL');
  });
  await waitFor('it is ready', () => output.includes('API '), { timeout_ms: 60_000 });
  terminal.kill('SIGKILL');
  await waitFor('the process has ended', isGone);
  expect(runningPostgres(directory)).toBeNull();
});
