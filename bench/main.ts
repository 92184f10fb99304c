// Runs the workloads of bench/workloads and prints what they come to.
//
//   npm run bench -- [--only NAME]… [--json FILE] [--seconds 10] [--warmup 3] [--reference-seconds 5] [--rounds 3]
//                    [--connections 64] [--entries 20000000]
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { describeCommit, describeMachine } from './machine.ts';
import { RunFailed } from './measure.ts';
import { failedRow, printRows, type Row } from './report.ts';
import type { Bench, Workload } from './workload.ts';
import { balance_1m } from './workloads/balance-1m.ts';
import { bulk_1000 } from './workloads/bulk-1000.ts';
import { memory } from './workloads/memory.ts';
import { projection_lag } from './workloads/projection-lag.ts';
import { rebuild } from './workloads/rebuild.ts';
import { single_20_tenants } from './workloads/single-20-tenants.ts';
import { single_at_20m } from './workloads/single-at-20m.ts';
import { single_hot } from './workloads/single-hot.ts';
import { single_uniform } from './workloads/single-uniform.ts';
import { start } from './workloads/start.ts';
import {
  stream_10k,
  stream_catch_up,
  stream_latency,
  stream_posting,
  stream_restart,
} from './workloads/streams.ts';
import { verify } from './workloads/verify.ts';
import { webhooks } from './workloads/webhooks.ts';

const workloads: Workload[] = [
  single_uniform,
  single_hot,
  single_20_tenants,
  bulk_1000,
  single_at_20m,
  balance_1m,
  memory,
  projection_lag,
  stream_latency,
  stream_10k,
  stream_catch_up,
  stream_posting,
  stream_restart,
  webhooks,
  start,
  verify,
  rebuild,
];

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true },
    json: { type: 'string' },
    seconds: { type: 'string', default: '10' },
    warmup: { type: 'string', default: '3' },
    'reference-seconds': { type: 'string', default: '5' },
    rounds: { type: 'string', default: '3' },
    connections: { type: 'string', default: '64' },
    entries: { type: 'string', default: '20000000' },
  },
});
const number = z.coerce.number().positive();
const bench: Bench = {
  seconds: number.parse(values.seconds),
  warmup_seconds: number.parse(values.warmup),
  reference_seconds: number.parse(values['reference-seconds']),
  rounds: number.int().parse(values.rounds),
  connections: number.int().parse(values.connections),
  entries: number.int().parse(values.entries),
};
const unknown = values.only?.filter((name) => !workloads.some((workload) => workload.name === name));
if (unknown !== undefined && unknown.length > 0) {
  console.error(
    `no workload ${unknown.join(', ')}; there are ${workloads.map(({ name }) => name).join(', ')}`,
  );
  process.exit(2);
}
const chosen = workloads.filter((workload) => values.only?.includes(workload.name) ?? true);

const machine = describeMachine();
console.log(`machine   ${machine.cpu}, ${machine.cores} cores, ${machine.memory_gib} GiB`);
console.log(`versions  node ${process.version}, lattice ${describeCommit()}`);
console.log(
  'settings  authentication, permissions, row-level security, idempotency, log and limits on; the limit on the rate of a key off',
);
console.log(
  `rounds    ${bench.rounds} of ${bench.seconds} s after ${bench.warmup_seconds} s of warm-up, ${bench.connections} connections; the reference before, between and after`,
);

process.once('SIGINT', () => process.exit(130));
process.once('SIGTERM', () => process.exit(143));

const rows: Row[] = [];
for (const workload of chosen) {
  console.log(`\n${workload.name}: ${workload.description}`);
  try {
    rows.push(...(await workload.run(bench)));
  } catch (error) {
    if (!(error instanceof RunFailed)) throw error;
    console.error(`  no number: ${error.message}`);
    rows.push(failedRow(workload.name, workload.unit, error.errors));
  }
}
console.log();
printRows(rows);
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(rows, null, 2)}\n`);
if (rows.some((row) => row.value === null)) process.exitCode = 1;
