// One measurement: a process that works against the stack, watched from outside while its clock runs, and checked when it is done.
import { type ChildProcess, fork } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Cpu, cpuSeconds, cpuSecondsOfFamily } from './machine.ts';
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

/** Runs the load generator and finds each acknowledged transaction in the database afterwards. */
export async function runLoad(
  stack: Stack,
  tenants: Tenant[],
  traffic: Traffic,
  load: { connections: number; warmup_seconds: number; seconds: number; requests?: number },
): Promise<Measurement> {
  const ids_file = join(tmpdir(), `lattice-bench-ids-${crypto.randomUUID()}`);
  const spec: LoadSpec = { port: stack.port, requests: null, ...load, traffic, ids_file };
  try {
    const measurement = await watch(stack, 'load.ts', spec);
    await settle(stack);
    await proveAcknowledged(
      stack,
      tenants,
      readFileSync(ids_file, 'latin1'),
      measurement.result.acknowledged,
    );
    return measurement;
  } finally {
    rmSync(ids_file, { force: true });
  }
}

export async function runReference(stack: Stack, settings: Settings): Promise<Measurement> {
  return watch(stack, 'reference.ts', {
    connection_string: stack.owner_url,
    connections: 16,
    accounts: 10_000,
    warmup_seconds: 1,
    seconds: settings.reference_seconds,
  });
}

/** Baseline and subject in turn, the baseline first and last: what the machine does meanwhile happens to both. */
export async function inTurn(
  rounds: number,
  baseline: () => Promise<Measurement>,
  subject: () => Promise<Measurement>,
): Promise<{ baseline: Measurement[]; subject: Measurement[] }> {
  const baselines = [await baseline()];
  const subjects: Measurement[] = [];
  for (let round = 0; round < rounds; round += 1) {
    subjects.push(await subject());
    baselines.push(await baseline());
  }
  return { baseline: baselines, subject: subjects };
}

async function watch(stack: Stack, program: string, spec: LoadSpec | ReferenceSpec): Promise<Measurement> {
  const child = fork(join(import.meta.dirname, program));
  const pid = child.pid;
  if (pid === undefined) throw new Error(`${program} did not start`);
  const sample = () => ({
    server: cpuSeconds(stack.server_pid),
    postgres: cpuSecondsOfFamily(stack.postgres_pid),
    load: cpuSeconds(pid),
  });
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
  if (result.errors > 0) {
    throw new RunFailed(`${result.errors} errors: ${result.problems.join(' | ')}`, result.errors);
  }
  return { result, cpu: difference(before, after) };
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
