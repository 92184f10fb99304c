import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../test/support/port.ts';
import { attempts_max, Heartbeat, standstill_max_ms } from '../heartbeat.ts';
import { note } from '../notes.ts';
import { median, type Row, rounded, spreadLine } from '../report.ts';
import { ready, root } from '../stack.ts';
import type { Workload } from '../workload.ts';

export const start: Workload = {
  name: 'start',
  description: '`npm start` until /readyz answers 200: in an empty directory, and again in the same',
  unit: 's',
  run: async (bench) => {
    const first: number[] = [];
    const again: number[] = [];
    for (let attempt = 1; first.length < bench.rounds; attempt += 1) {
      const directory = mkdtempSync(join(tmpdir(), 'lattice-bench-start-'));
      const heartbeat = new Heartbeat();
      const first_ms = await startOnce(directory);
      const again_ms = await startOnce(directory);
      rmSync(directory, { recursive: true });
      const standstill_ms = heartbeat.stop();
      if (standstill_ms > standstill_max_ms && attempt < attempts_max) {
        note(`once more: the machine stood still for ${Math.round(standstill_ms)} ms`);
        continue;
      }
      first.push(first_ms);
      again.push(again_ms);
    }
    note(spreadLine('first, ms', first));
    note(spreadLine('again, ms', again));
    return [row('start-first', first), row('start-again', again)];
  },
};

/** Milliseconds from the command to the first 200 of /readyz; then it is stopped as Ctrl-C does. */
async function startOnce(directory: string): Promise<number> {
  const port = await freePort();
  const started_at = performance.now();
  const npm = spawn('npm', ['start'], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
    // A group of its own, so that npm and what it started are told together.
    detached: true,
    env: { ...process.env, PORT: String(port), LATTICE_DATA_DIR: directory },
  });
  if (npm.pid === undefined) throw new Error('npm did not start');
  const exit = once(npm, 'exit');
  try {
    await ready(port, npm);
    return performance.now() - started_at;
  } finally {
    if (npm.exitCode === null) process.kill(-npm.pid, 'SIGINT');
    await exit;
  }
}

function row(workload: string, milliseconds: number[]): Row {
  return {
    workload,
    value: rounded(median(milliseconds) / 1_000, 2),
    unit: start.unit,
    reference: null,
    ratio: null,
    p50_ms: null,
    p95_ms: null,
    p99_ms: null,
    errors: 0,
  };
}
