import { inTurn, runReference } from '../measure.ts';
import { note } from '../notes.ts';
import { cpuLine, rateRow, spreadLine, transactionsPerSecond } from '../report.ts';
import { postSingly, type Workload, withStack } from '../workload.ts';

export const single_uniform: Workload = {
  name: 'single-uniform',
  description: 'POST /v1/transactions, one at a time on each connection, uniform over 10,000 accounts',
  unit: 'transactions/s',
  run: (bench) =>
    withStack(async (stack, open) => {
      const opened = await open('uniform', 10_000);
      const sides = await inTurn(
        bench.rounds,
        () => runReference(stack, bench),
        () => postSingly(bench, stack, [opened]),
      );
      note(spreadLine('reference', sides.baseline.map(transactionsPerSecond)));
      note(spreadLine('single posts', sides.subject.map(transactionsPerSecond)));
      note(`reference, ${cpuLine(sides.baseline)}`);
      return [rateRow(single_uniform.name, sides)];
    }),
};
