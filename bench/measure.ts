// One measurement: a process that works against the stack, watched from outside while its clock runs, and checked when it is done.
import { type ChildProcess, fork } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { attempts_max, Heartbeat, standstill_max_ms } from './heartbeat.ts';
import { type Cpu, cpuSeconds, cpuSecondsOfFamily } from './machine.ts';
import { note } from './notes.ts';
import { proveAcknowledged } from './proof.ts';
import { type LoadSpec, type ReferenceSpec, ReportSchema, type Result, type Traffic } from './protocol.ts';
import type { Stack, Tenant } from './stack.ts';

export interface Settings {
  seconds: number;
  warmup_seconds: number;
  reference_seconds: number;
  rounds: number;
  connections: number;
}

export interface Measurement {
  result: Result;
  /** seconds of CPU time while the clock ran */
  cpu: Cpu;
}

/** What went wrong, in words: the workload has no number then. */
export class RunFailed extends Error {
  readonly errors: number;

  constructor(message: string, errors: number) {
    super(message);
    this.name = 'RunFailed';
    this.errors = errors;
  }
}

/** A run that failed while the machine stood still: timeouts passed that nobody could keep. */
class StoodStill extends RunFailed {}

/** Runs the load generator and finds each acknowledged transaction in the database afterwards. */
export async function runLoad(
  stack: Stack,
  tenants: Tenant[],
  traffic: Traffic,
  load: {
    connections: number;
    warmup_seconds: number;
    seconds: number;
    requests?: number;
    rate?: number;
  },
): Promise<Measurement> {
  return steadily(async () => {
    const ids_file = join(tmpdir(), `lattice-bench-ids-${crypto.randomUUID()}`);
    const spec: LoadSpec = { port: stack.port, requests: null, rate: null, ...load, traffic, ids_file };
    try {
      const watched = await watch(stack, 'load.ts', spec);
      await settle(stack);
      const acknowledged = watched.measurement.result.acknowledged;
      await proveAcknowledged(stack, tenants, readFileSync(ids_file, 'latin1'), acknowledged);
      // What is not timed has done its work, however long that took.
      return load.seconds === 0 ? { ...watched, standstill_ms: 0 } : watched;
    } finally {
      rmSync(ids_file, { force: true });
    }
  });
}

export async function runReference(stack: Stack, settings: Settings): Promise<Measurement> {
  return steadily(() =>
    watch(stack, 'reference.ts', {
      connection_string: stack.owner_url,
      connections: 16,
      accounts: 10_000,
      warmup_seconds: 1,
      seconds: settings.reference_seconds,
    }),
  );
}

/** Repeats a run during which the machine stood still: virtual machines are paused and moved. */
async function steadily(run: () => Promise<Watched>): Promise<Measurement> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const { measurement, standstill_ms } = await run();
      if (standstill_ms <= standstill_max_ms || attempt === attempts_max) return measurement;
      note(`once more: the machine stood still for ${Math.round(standstill_ms)} ms`);
    } catch (error) {
      if (!(error instanceof StoodStill) || attempt === attempts_max) throw error;
      note(`once more: ${error.message}`);
    }
  }
}

export interface Sides {
  baseline: Measurement[];
  subject: Measurement[];
}

/**
 * Baseline and subject in turn, the baseline first and last: what the machine does meanwhile happens to both. A first round of each is not
 * counted: V8 compiles for some ten seconds what a load makes hot, which is a tenth of the process's time then and nothing later.
 */
export async function inTurn(
  rounds: number,
  baseline: () => Promise<Measurement>,
  subject: () => Promise<Measurement>,
): Promise<Sides> {
  await baseline();
  await subject();
  const baselines = [await baseline()];
  const subjects: Measurement[] = [];
  for (let round = 0; round < rounds; round += 1) {
    subjects.push(await subject());
    baselines.push(await baseline());
  }
  return { baseline: baselines, subject: subjects };
}

interface Watched {
  measurement: Measurement;
  standstill_ms: number;
}

async function watch(stack: Stack, program: string, spec: LoadSpec | ReferenceSpec): Promise<Watched> {
  const child = fork(join(import.meta.dirname, program));
  const pid = child.pid;
  if (pid === undefined) throw new Error(`${program} did not start`);
  const sample = () => ({
    server: cpuSeconds(stack.server_pid),
    postgres: cpuSecondsOfFamily(stack.postgres_pid),
    load: cpuSeconds(pid),
  });
  const heartbeat = new Heartbeat();
  let before: Cpu | null = null;
  let after: Cpu | null = null;
  const result = await new Promise<Result>((resolve, reject) => {
    child.on('message', (message) => {
      try {
        const report = ReportSchema.parse(message);
        if (report.kind === 'measuring') before = sample();
        else if (report.kind === 'measured') after = sample();
        else resolve(report);
      } catch (error) {
        // The server or Postgres has ended, so there is nothing to sample.
        child.kill();
        reject(error);
      }
    });
    child.on('error', reject);
    child.on('exit', (status) => reject(new Error(`${program} ended with status ${status}`)));
    child.send(spec);
  });
  await exited(child);
  const standstill_ms = heartbeat.stop();
  if (result.errors > 0) {
    const message = `${result.errors} errors: ${result.problems.join(' | ')}`;
    if (standstill_ms <= standstill_max_ms) throw new RunFailed(message, result.errors);
    throw new StoodStill(
      `the machine stood still for ${Math.round(standstill_ms)} ms, and ${message}`,
      result.errors,
    );
  }
  return { measurement: { result, cpu: difference(before, after) }, standstill_ms };
}

/** Waits until what the run has set in motion behind its answers (projections, checkpoints) is done, so that the next run is not slowed by it. */
async function settle(stack: Stack): Promise<void> {
  const busy = () => cpuSeconds(stack.server_pid) + cpuSecondsOfFamily(stack.postgres_pid);
  const deadline = performance.now() + 120_000;
  for (let quiet = 0; quiet < 3 && performance.now() < deadline; ) {
    const before = busy();
    await delay(200);
    quiet = busy() - before < 0.02 ? quiet + 1 : 0;
  }
}

async function exited(child: ChildProcess): Promise<void> {
  if (child.exitCode === null) await new Promise((resolve) => child.once('exit', resolve));
}

function difference(before: Cpu | null, after: Cpu | null): Cpu {
  if (before === null || after === null) throw new Error('the clock never ran');
  return {
    server: after.server - before.server,
    postgres: after.postgres - before.postgres,
    load: after.load - before.load,
  };
}
