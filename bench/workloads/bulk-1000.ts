import { inTurn, runLoad, runReference } from '../measure.ts';
import { note } from '../notes.ts';
import { cpuLine, rateRow, spreadLine, transactionsPerSecond } from '../report.ts';
import { type Workload, withStack } from '../workload.ts';

/** A client that posts in bulk has a few requests under way, not dozens. */
const connections = 4;

export const bulk_1000: Workload = {
  name: 'bulk-1000',
  description: `POST /v1/transactions/bulk, atomic, 1,000 transactions a request, ${connections} connections, uniform over 10,000 accounts`,
  unit: 'transactions/s',
  run: (bench) =>
    withStack(async (stack, open) => {
      const { tenant, traffic } = await open('bulk', 10_000);
      const sides = await inTurn(
        bench.rounds,
        () => runReference(stack, bench),
        () =>
          runLoad(
            stack,
            [tenant],
            { kind: 'bulk', tenant: traffic, transactions: 1_000 },
            { ...bench, connections },
          ),
      );
      note(cpuLine(sides.subject));
      note(spreadLine('reference', sides.baseline.map(transactionsPerSecond)));
      note(spreadLine('bulk', sides.subject.map(transactionsPerSecond)));
      return [rateRow(bulk_1000.name, sides)];
    }),
};
