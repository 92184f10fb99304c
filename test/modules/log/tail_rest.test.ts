import { performance } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { TailRest } from '../../../src/modules/log/tail_rest.ts';

it('rests least while the process has time to spare, and most while it has none', async () => {
  const rest = new TailRest();
  await pause(50);
  rest.learn();
  expect(rest.ms).toBe(10);
  // The loop counts as at work from one turn to the next.
  await pause(0);
  const until = performance.now() + 200;
  while (performance.now() < until);
  await pause(0);
  rest.learn();
  expect(rest.ms).toBe(80);
  await pause(50);
  rest.learn();
  expect(rest.ms).toBe(10);
});
