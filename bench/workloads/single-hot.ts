import { inTurn } from '../measure.ts';
import { rateRow, spreadLine, transactionsPerSecond } from '../report.ts';
import { postSingly, type Workload, withStack } from '../workload.ts';

export const single_hot: Workload = {
  name: 'single-hot',
  description: 'the same, every transaction on one limited hot account; compared with the uniform rate',
  unit: 'transactions/s',
  run: (bench) =>
    withStack(bench, async (stack, open) => {
      const opened = await open('hot', 10_000);
      const sides = await inTurn(
        bench.rounds,
        () => postSingly(bench, stack, [opened]),
        () => postSingly(bench, stack, [opened], true),
      );
      bench.note(spreadLine('uniform', sides.baseline.map(transactionsPerSecond)));
      bench.note(spreadLine('hot', sides.subject.map(transactionsPerSecond)));
      return [rateRow(single_hot.name, sides)];
    }),
};
