// The numbers as rows: for people as a table, for machines as JSON.
import { merge, percentile } from './histogram.ts';
import type { Measurement, Sides } from './measure.ts';
import { note } from './notes.ts';

export interface Row {
  workload: string;
  /** null when the run had an error or its proof failed: then there is no number */
  value: number | null;
  unit: string;
  /** what the value is compared with, measured in the same run; null when the number stands for itself */
  reference: number | null;
  ratio: number | null;
  p50_ms: number | null;
  p95_ms: number | null;
  p99_ms: number | null;
  errors: number;
}

export function failedRow(workload: string, unit: string, errors: number): Row {
  return {
    workload,
    value: null,
    unit,
    reference: null,
    ratio: null,
    p50_ms: null,
    p95_ms: null,
    p99_ms: null,
    errors,
  };
}

/** The medians of both sides and of their ratios, and latencies over all rounds of the subject; of one series of rounds, or of several. */
export function rateRow(workload: string, ...series: Sides[]): Row {
  const subject = series.flatMap((sides) => sides.subject);
  const baseline = series.flatMap((sides) => sides.baseline);
  const ratios = series.flatMap(ratiosInTurn);
  note(`each round beside those before and after it: ${ratios.map((ratio) => ratio.toFixed(3)).join(', ')}`);
  return {
    workload,
    value: Math.round(median(subject.map(transactionsPerSecond))),
    unit: 'transactions/s',
    reference: Math.round(median(baseline.map(transactionsPerSecond))),
    ratio: rounded(median(ratios), 3),
    ...latencies(subject),
    errors: 0,
  };
}

/**
 * Each round of the subject against the mean of the baseline's before and after it: on a machine that grows slower or faster while all rounds are
 * run, medians of the sides would be of different hours.
 */
function ratiosInTurn({ baseline, subject }: Sides): number[] {
  const references = baseline.map(transactionsPerSecond);
  return subject.map(transactionsPerSecond).map((value, round) => {
    const [before, after] = references.slice(round, round + 2);
    if (before === undefined || after === undefined) throw new Error('a round without a baseline beside it');
    return value / ((before + after) / 2);
  });
}

export function latencies(measurements: Measurement[]) {
  const histogram = merge(measurements.map(({ result }) => result.histogram));
  return {
    p50_ms: rounded(percentile(histogram, 0.5), 2),
    p95_ms: rounded(percentile(histogram, 0.95), 2),
    p99_ms: rounded(percentile(histogram, 0.99), 2),
  };
}

export function transactionsPerSecond({ result }: Measurement): number {
  return result.transactions / result.seconds;
}

/** Where the time went: cores kept busy by each process, and CPU time for each transaction or read. */
export function cpuLine(measurements: Measurement[]): string {
  const seconds = sum(measurements.map(({ result }) => result.seconds));
  const done = sum(measurements.map(({ result }) => Math.max(result.transactions, result.requests)));
  const part = (name: 'server' | 'postgres' | 'load') => {
    const used = sum(measurements.map(({ cpu }) => cpu[name]));
    return `${name} ${(used / seconds).toFixed(2)} cores, ${Math.round((used / done) * 1e6)} µs each`;
  };
  return `CPU: ${part('server')} · ${part('postgres')} · ${part('load')}`;
}

export function spreadLine(label: string, rates: number[]): string {
  return `${label}: ${rates.map((rate) => Math.round(rate).toLocaleString('en')).join(', ')}`;
}

export function printRows(rows: Row[]): void {
  const header = ['workload', 'value', 'unit', 'reference', 'ratio', 'p50 ms', 'p95 ms', 'p99 ms', 'errors'];
  const cells = rows.map((row) =>
    [
      row.workload,
      row.value,
      row.unit,
      row.reference,
      row.ratio,
      row.p50_ms,
      row.p95_ms,
      row.p99_ms,
      row.errors,
    ].map((cell) => (cell === null ? '–' : typeof cell === 'number' ? cell.toLocaleString('en') : cell)),
  );
  const table = [header, ...cells];
  const widths = header.map((_, column) => Math.max(...table.map((row) => String(row[column]).length)));
  for (const row of table) {
    console.log(
      row
        .map((cell, column) =>
          column % 2 === 0 && column < 3
            ? cell.padEnd(Number(widths[column]))
            : cell.padStart(Number(widths[column])),
        )
        .join('  '),
    );
  }
}

export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted[Math.floor((sorted.length - 1) / 2)];
  const other = sorted[Math.ceil((sorted.length - 1) / 2)];
  if (middle === undefined || other === undefined) throw new Error('a median of nothing was asked for');
  return (middle + other) / 2;
}

export function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

function sum(values: number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
