import { z } from 'zod';
import { cpuSeconds, cpuSecondsOfFamily } from '../machine.ts';
import { runLoad } from '../measure.ts';
import { note } from '../notes.ts';
import { median, type Row, rounded, spreadLine } from '../report.ts';
import type { Stack, Tenant } from '../stack.ts';
import { type Workload, withStack } from '../workload.ts';

const transactions = 100_000;
const transactions_per_request = 1_000;
const ProofSchema = z.looseObject({ ok: z.literal(true), position: z.int() });
const CheckpointSchema = z.looseObject({ block: z.looseObject({ last_position: z.int() }) });

export const verify: Workload = {
  name: 'verify',
  description:
    'GET /v1/proof, as `lattice verify` does: 200,000 entries and all projections recounted, and at the same time hashed with their events',
  unit: 'entries/s',
  run: (bench) =>
    withStack(async (stack, open) => {
      const { tenant, traffic } = await open('verify', 10_000);
      const { result } = await runLoad(
        stack,
        [tenant],
        { kind: 'bulk', tenant: traffic, transactions: transactions_per_request },
        {
          connections: 4,
          warmup_seconds: 0,
          seconds: 0,
          requests: transactions / transactions_per_request,
        },
      );
      const { answer } = await timed(stack, tenant, '/v1/proof', ProofSchema);
      await sealed(stack, tenant, answer.position);
      const entries = result.transactions * 2;
      const [proofs, chains]: [number[], number[]] = [[], []];
      const used = { server: 0, postgres: 0 };
      for (let round = 0; round < bench.rounds; round += 1) {
        const before = cpuOf(stack);
        proofs.push((await timed(stack, tenant, '/v1/proof', ProofSchema)).seconds);
        const after = cpuOf(stack);
        used.server += after.server - before.server;
        used.postgres += after.postgres - before.postgres;
        chains.push((await timed(stack, tenant, '/v1/proof/chain', ProofSchema)).seconds);
      }
      note(spreadLine('proof, ms', proofs.map(milliseconds)));
      note(spreadLine('hashes alone, ms', chains.map(milliseconds)));
      const each = (seconds: number) =>
        `${((seconds / bench.rounds / entries) * 1e6).toFixed(2)} µs an entry`;
      note(`CPU: server ${each(used.server)} · postgres ${each(used.postgres)}`);
      return [row(entries / median(proofs))];
    }),
};

const cpuOf = (stack: Stack) => ({
  server: cpuSeconds(stack.server_pid),
  postgres: cpuSecondsOfFamily(stack.postgres_pid),
});

const milliseconds = (seconds: number) => seconds * 1_000;

/** Asks until blocks cover everything up to the position. */
async function sealed(stack: Stack, tenant: Tenant, position: number): Promise<void> {
  for (;;) {
    const { answer } = await timed(stack, tenant, '/v1/checkpoint', CheckpointSchema);
    if (answer.block.last_position >= position) return;
  }
}

async function timed<Schema extends z.ZodType>(stack: Stack, tenant: Tenant, path: string, schema: Schema) {
  const begun = performance.now();
  const response = await fetch(`http://127.0.0.1:${stack.port}${path}`, {
    headers: { Authorization: `Bearer ${tenant.api_key}` },
  });
  const text = await response.text();
  const seconds = (performance.now() - begun) / 1_000;
  if (response.status !== 200) throw new Error(`${path}: ${text.slice(0, 1_000)}`);
  return { answer: schema.parse(JSON.parse(text)), seconds };
}

function row(entries_per_second: number): Row {
  return {
    workload: verify.name,
    value: rounded(entries_per_second, 0),
    unit: verify.unit,
    reference: null,
    ratio: null,
    p50_ms: null,
    p95_ms: null,
    p99_ms: null,
    errors: 0,
  };
}
