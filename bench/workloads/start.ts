import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { median, type Row, rounded, spreadLine } from '../report.ts';
import { freePort, ready, root } from '../stack.ts';
import type { Workload } from '../workload.ts';

export const start: Workload = {
  name: 'start',
  description: '`npm start` until /readyz answers 200: in an empty directory, and again in the same',
  unit: 's',
  run: async (bench) => {
    const first: number[] = [];
    const again: number[] = [];
    for (let round = 0; round < bench.rounds; round += 1) {
      const directory = mkdtempSync(join(tmpdir(), 'lattice-bench-start-'));
      first.push(await startOnce(directory));
      again.push(await startOnce(directory));
      rmSync(directory, { recursive: true });
    }
    bench.note(spreadLine('first, ms', first));
    bench.note(spreadLine('again, ms', again));
    return [row('start-first', first), row('start-again', again)];
  },
};

/** Milliseconds from the command to the first 200 of /readyz. */
async function startOnce(directory: string): Promise<number> {
  const port = await freePort();
  const started_at = performance.now();
  const npm = spawn('npm', ['start'], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
    // A group of its own, so that npm and what it started can be told together to stop, as Ctrl-C does.
    detached: true,
    env: { ...process.env, PORT: String(port), LATTICE_DATA_DIR: directory },
  });
  await ready(port, npm);
  const milliseconds = performance.now() - started_at;
  if (npm.pid === undefined) throw new Error('npm did not start');
  const exit = once(npm, 'exit');
  process.kill(-npm.pid, 'SIGINT');
  await exit;
  return milliseconds;
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
