import { inTurn } from '../measure.ts';
import { note } from '../notes.ts';
import { rateRow, spreadLine, transactionsPerSecond } from '../report.ts';
import { postSingly, type Workload, withStack } from '../workload.ts';

export const single_hot: Workload = {
  name: 'single-hot',
  description: 'the same, every transaction on one limited hot account; compared with the uniform rate',
  unit: 'transactions/s',
  run: (bench) =>
    withStack(async (stack, open) => {
      const opened = await open('hot', 10_000);
      const sides = await inTurn(
        bench.rounds,
        () => postSingly(bench, stack, [opened]),
        () => postSingly(bench, stack, [opened], true),
      );
      note(spreadLine('uniform', sides.baseline.map(transactionsPerSecond)));
      note(spreadLine('hot', sides.subject.map(transactionsPerSecond)));
      return [rateRow(single_hot.name, sides)];
    }),
};
