// The product as an operator runs it: a second process, `node src/main.ts start`, on this file's database. It can be killed.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from './client.ts';
import { atEnd } from './database.ts';
import { inherited_environment } from './environment.ts';
import { freePort } from './port.ts';
import { serverEnvironment } from './server.ts';
import { root } from './source.ts';
import { waitFor } from './wait.ts';

export interface TestProcess {
  url: string;
  pid: number;
  client: (api_key: string | null) => Client;
  /** what it has written so far */
  output: () => string;
  /** Sends the signal and answers the exit code, or the signal that ended it, when it is gone. */
  end: (signal: NodeJS.Signals) => Promise<number | NodeJS.Signals>;
}

/** Ready when /readyz says so. `environment` goes over that of every test server; an empty string unsets. Ends with the file. */
export async function startProcess(environment: Record<string, string> = {}): Promise<TestProcess> {
  const data_directory = await mkdtemp(join(tmpdir(), 'lattice-process-'));
  const port = environment.PORT ?? String(await freePort());
  const url = `http://127.0.0.1:${port}`;
  const child = spawn(process.execPath, ['src/main.ts', 'start'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...inherited_environment,
      ...serverEnvironment(),
      LATTICE_DATA_DIR: data_directory,
      ...environment,
      PORT: port,
    },
  });
  const written: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8');
    stream.on('data', (text: string) => written.push(text));
  }
  const gone = new Promise<number | NodeJS.Signals>((resolve) => {
    // Not `exit`, after which there may still be something of its output to read.
    child.once('close', (code, signal) => resolve(signal ?? code ?? 0));
  });
  const end = (signal: NodeJS.Signals) => {
    if (isRunning(child)) child.kill(signal);
    return gone;
  };
  atEnd(async () => {
    await end('SIGKILL');
    await rm(data_directory, { recursive: true, force: true });
  });
  await waitFor(
    'the process is ready',
    async () => {
      if (!isRunning(child)) throw new Error(`the process has ended: ${await gone}`);
      return fetch(`${url}/readyz`).then(
        (response) => response.ok,
        () => false,
      );
    },
    { timeout_ms: 60_000, interval_ms: 50 },
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}\n${written.join('')}`);
  });
  return {
    url,
    pid: child.pid ?? 0,
    client: (api_key) => new Client(url, api_key),
    output: () => written.join(''),
    end,
  };
}

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}
