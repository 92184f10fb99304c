import { z } from 'zod';
import { merge, percentile } from '../histogram.ts';
import { type Lag, watchLag } from '../lag.ts';
import { RunFailed } from '../measure.ts';
import { note } from '../notes.ts';
import { type Row, rounded, spreadLine, transactionsPerSecond } from '../report.ts';
import type { Stack, Tenant } from '../stack.ts';
import { postSingly, type Workload, withStack } from '../workload.ts';

const ProjectionsSchema = z.looseObject({ data: z.array(z.looseObject({ name: z.string() })) });

export const projection_lag: Workload = {
  name: 'projection-lag',
  description:
    'uniform single posts as fast as they go: the age of the first event that a projection has not applied, for the one that lags most',
  unit: 'ms p99',
  run: (bench) =>
    withStack(async (stack, open) => {
      const opened = await open('lag', 10_000);
      const names = await listProjections(stack, opened.tenant);
      const rounds: Map<string, Lag>[] = [];
      const rates: number[] = [];
      for (let round = 0; round < bench.rounds; round += 1) {
        const { done, lags } = await watchLag(stack, opened.tenant, bench.seconds, () =>
          postSingly(bench, stack, [opened]),
        );
        rates.push(transactionsPerSecond(done));
        rounds.push(lags);
      }
      note(spreadLine('single posts', rates));
      const rows = names.map((name) => projectionRow(name, rounds));
      const [worst] = rows.toSorted((one, other) => (other.value ?? 0) - (one.value ?? 0));
      if (worst === undefined) throw new RunFailed('there are no projections', 1);
      return [worst];
    }),
};

async function listProjections(stack: Stack, tenant: Tenant): Promise<string[]> {
  const response = await fetch(`http://127.0.0.1:${stack.port}/v1/projections`, {
    headers: { Authorization: `Bearer ${tenant.api_key}` },
  });
  return ProjectionsSchema.parse(await response.json()).data.map(({ name }) => name);
}

/** Its lag over all rounds, which it also tells. */
function projectionRow(name: string, rounds: Map<string, Lag>[]): Row {
  const lags = rounds.map((round) => {
    const lag = round.get(name);
    if (lag === undefined) throw new RunFailed(`${name} followed nothing`, 1);
    return lag;
  });
  const histogram = merge(lags.map((lag) => lag.histogram));
  const at = (share: number) => rounded(percentile(histogram, share), 1);
  const worst = (values: number[]) => Math.round(Math.max(...values));
  const row: Row = {
    workload: projection_lag.name,
    value: at(0.99),
    unit: projection_lag.unit,
    reference: null,
    ratio: null,
    p50_ms: at(0.5),
    p95_ms: at(0.95),
    p99_ms: at(0.99),
    errors: 0,
  };
  note(
    [
      `${name}: p50 ${row.p50_ms} ms, p95 ${row.p95_ms} ms, p99 ${row.p99_ms} ms`,
      `most ${worst(lags.map((lag) => lag.worst_ms[0]))} ms in the first halves of the rounds, ${worst(lags.map((lag) => lag.worst_ms[1]))} ms in the second`,
      `${worst(lags.map((lag) => lag.at_end_ms))} ms when the posts end, caught up ${worst(lags.map((lag) => lag.caught_up_ms))} ms later`,
    ].join(' · '),
  );
  return row;
}
