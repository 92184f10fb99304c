import { inTurn, runReference } from '../measure.ts';
import { cpuLine, rateRow, spreadLine, transactionsPerSecond } from '../report.ts';
import { postSingly, type Workload, withStack } from '../workload.ts';

export const single_uniform: Workload = {
  name: 'single-uniform',
  description: 'POST /v1/transactions, one at a time on each connection, uniform over 10,000 accounts',
  unit: 'transactions/s',
  run: (bench) =>
    withStack(bench, async (stack, open) => {
      const opened = await open('uniform', 10_000);
      const sides = await inTurn(
        bench.rounds,
        () => runReference(stack, bench),
        () => postSingly(bench, stack, [opened]),
      );
      bench.note(spreadLine('reference', sides.baseline.map(transactionsPerSecond)));
      bench.note(spreadLine('single posts', sides.subject.map(transactionsPerSecond)));
      bench.note(`reference, ${cpuLine(sides.baseline)}`);
      return [rateRow(single_uniform.name, sides)];
    }),
};
