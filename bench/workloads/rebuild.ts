import { z } from 'zod';
import { encodeId } from '../../src/id.ts';
import { cpuSeconds, cpuSecondsOfFamily } from '../machine.ts';
import { RunFailed, runLoad } from '../measure.ts';
import { note } from '../notes.ts';
import { median, type Row, rounded, spreadLine } from '../report.ts';
import type { Stack, Tenant } from '../stack.ts';
import { type Workload, withStack } from '../workload.ts';

const transactions = 250_000;
const transactions_per_request = 1_000;
const poll_ms = 25;

const ProjectionsSchema = z.object({
  data: z.array(
    z.looseObject({
      name: z.string(),
      rebuild: z
        .looseObject({
          status: z.string(),
          difference_count: z.int().nullable(),
          started_at: z.string(),
          ended_at: z.string().nullable(),
        })
        .nullable(),
    }),
  ),
});

export const rebuild: Workload = {
  name: 'rebuild',
  description:
    'all projections of half a million entries in 250,000 transactions, built again, compared and swapped; entries of the log per second',
  unit: 'entries/s',
  run: (bench) =>
    withStack(async (stack, open) => {
      const { tenant, traffic } = await open('rebuild', 10_000);
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
      const entries = result.transactions * 2;
      const platform_key = await stack.createPlatformKey();
      const seconds: number[] = [];
      const used = { server: 0, postgres: 0 };
      for (let round = 0; round < bench.rounds; round += 1) {
        const before = cpuOf(stack);
        seconds.push(await rebuildAll(stack, tenant, platform_key));
        const after = cpuOf(stack);
        used.server += after.server - before.server;
        used.postgres += after.postgres - before.postgres;
      }
      note(
        spreadLine(
          'all projections, ms',
          seconds.map((each) => each * 1_000),
        ),
      );
      const each = (cpu: number) => `${((cpu / bench.rounds / entries) * 1e6).toFixed(2)} µs an entry`;
      note(`CPU: server ${each(used.server)} · postgres ${each(used.postgres)}`);
      return [row(entries / median(seconds))];
    }),
};

const cpuOf = (stack: Stack) => ({
  server: cpuSeconds(stack.server_pid),
  postgres: cpuSecondsOfFamily(stack.postgres_pid),
});

/** Seconds until each has taken the place of the one before, and was found equal to it. */
async function rebuildAll(stack: Stack, tenant: Tenant, platform_key: string): Promise<number> {
  const path = `/v1/tenants/${encodeId('tenant', tenant.id)}`;
  const begun = performance.now();
  await asked(stack, platform_key, `${path}/projection_rebuilds`, {}, z.unknown());
  for (;;) {
    const { data } = await asked(stack, platform_key, `${path}/projections`, null, ProjectionsSchema);
    const wrong = data.find(
      ({ rebuild: found }) =>
        found?.status === 'failed' || (found?.status === 'swapped' && found.difference_count !== 0),
    );
    if (wrong !== undefined) throw new RunFailed(`${wrong.name}: ${JSON.stringify(wrong.rebuild)}`, 1);
    if (data.every(({ rebuild: found }) => found?.status === 'swapped')) {
      for (const { name, rebuild: found } of data) {
        note(`${name} from ${found?.started_at} to ${found?.ended_at}`);
      }
      return (performance.now() - begun) / 1_000;
    }
    await new Promise((resolve) => setTimeout(resolve, poll_ms));
  }
}

async function asked<Schema extends z.ZodType>(
  stack: Stack,
  api_key: string,
  path: string,
  body: unknown,
  schema: Schema,
): Promise<z.infer<Schema>> {
  const response = await fetch(`http://127.0.0.1:${stack.port}${path}`, {
    method: body === null ? 'GET' : 'POST',
    headers: {
      Authorization: `Bearer ${api_key}`,
      ...(body === null
        ? {}
        : { 'Content-Type': 'application/json', 'Idempotency-Key': crypto.randomUUID() }),
    },
    ...(body === null ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new RunFailed(`${path}: ${text.slice(0, 1_000)}`, 1);
  return schema.parse(JSON.parse(text));
}

function row(entries_per_second: number): Row {
  return {
    workload: rebuild.name,
    value: rounded(entries_per_second, 0),
    unit: rebuild.unit,
    reference: null,
    ratio: null,
    p50_ms: null,
    p95_ms: null,
    p99_ms: null,
    errors: 0,
  };
}
