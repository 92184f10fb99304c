import { inTurn } from '../measure.ts';
import { note } from '../notes.ts';
import { rateRow, spreadLine, transactionsPerSecond } from '../report.ts';
import { type OpenTenant, postSingly, type Workload, withStack } from '../workload.ts';

const tenant_count = 20;

export const single_20_tenants: Workload = {
  name: 'single-20-tenants',
  description:
    'the same over 20 tenants of 500 accounts at once; compared with the uniform rate of one tenant',
  unit: 'transactions/s',
  run: (bench) =>
    withStack(async (stack, open) => {
      const alone = await open('alone', 10_000);
      const together: OpenTenant[] = [];
      for (let number = 1; number <= tenant_count; number += 1) {
        together.push(await open(`together-${number}`, 500));
      }
      const sides = await inTurn(
        bench.rounds,
        () => postSingly(bench, stack, [alone]),
        () => postSingly(bench, stack, together),
      );
      note(spreadLine('one tenant', sides.baseline.map(transactionsPerSecond)));
      note(spreadLine('20 tenants', sides.subject.map(transactionsPerSecond)));
      return [rateRow(single_20_tenants.name, sides)];
    }),
};
