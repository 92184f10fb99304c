// What the numbers were measured on, and what each process cost while the clock ran. Linux tells in /proc; elsewhere there is no bench.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';

/** Linux counts a process' time in hundredths of a second, whatever the kernel's own tick is. */
const ticks_per_second = 100;

export interface Cpu {
  server: number;
  postgres: number;
  load: number;
}

export function describeMachine(): { cpu: string; cores: number; memory_gib: number } {
  const cores = cpus();
  return {
    cpu: cores[0]?.model.trim() ?? 'unknown',
    cores: cores.length,
    memory_gib: Math.round(totalmem() / 2 ** 30),
  };
}

export function describeCommit(): string {
  const git = (...words: string[]) => execFileSync('git', words, { encoding: 'utf8' }).trim();
  return (
    git('rev-parse', '--short', 'HEAD') +
    (git('status', '--porcelain', 'src', 'sql') === '' ? '' : ', with changes')
  );
}

/** CPU seconds that a process has used. */
export function cpuSeconds(pid: number): number {
  const { own } = readStat(pid);
  return own / ticks_per_second;
}

/** CPU seconds of a process and its children, those that have ended included. */
export function cpuSecondsOfFamily(pid: number): number {
  const { own, ended_children } = readStat(pid);
  const living = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => maybeReadStat(Number(name)))
    .filter((stat) => stat?.parent === pid);
  const ticks = living.reduce((sum, stat) => sum + (stat?.own ?? 0), own + ended_children);
  return ticks / ticks_per_second;
}

/** The most memory that a process has had at once, in MB (10^6 bytes). */
export function peakMemoryMb(pid: number): number {
  const kib = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  if (kib === undefined) throw new Error(`/proc does not tell the memory of process ${pid}`);
  return (Number(kib) * 1024) / 1e6;
}

/** null for a process that has just ended */
function maybeReadStat(pid: number): Stat | null {
  try {
    return readStat(pid);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : null;
    if (code === 'ENOENT' || code === 'ESRCH') return null;
    throw error;
  }
}

interface Stat {
  parent: number;
  /** ticks */
  own: number;
  /** ticks of children that have ended */
  ended_children: number;
}

function readStat(pid: number): Stat {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The name, in parentheses, may hold anything; what follows it are numbers (proc(5)).
  const fields = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const field = (number: number) => {
    const value = fields[number - 3];
    if (value === undefined) throw new Error(`/proc/${pid}/stat has no field ${number}`);
    return value;
  };
  return { parent: field(4), own: field(14) + field(15), ended_children: field(16) + field(17) };
}
