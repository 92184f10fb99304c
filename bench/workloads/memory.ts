import { peakMemoryMb } from '../machine.ts';
import { note } from '../notes.ts';
import { latencies, rounded } from '../report.ts';
import { postSingly, type Workload, withStack } from '../workload.ts';

export const memory: Workload = {
  name: 'memory',
  description:
    'the most memory that the server process had at once, from its start through uniform single posts',
  unit: 'MB',
  run: (bench) =>
    withStack(async (stack, open) => {
      const opened = await open('memory', 10_000);
      const measurements = [];
      for (let round = 0; round < bench.rounds; round += 1) {
        measurements.push(await postSingly(bench, stack, [opened]));
        note(`after round ${round + 1}: ${peakMemoryMb(stack.server_pid).toFixed(0)} MB`);
      }
      return [
        {
          workload: memory.name,
          value: rounded(peakMemoryMb(stack.server_pid), 1),
          unit: memory.unit,
          reference: null,
          ratio: null,
          ...latencies(measurements),
          errors: 0,
        },
      ];
    }),
};
