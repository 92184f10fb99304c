import { expect, it } from 'vitest';
import { TailRest } from '../../../src/modules/log/tail_rest.ts';
import { waitFor } from '../../support/wait.ts';

it('rests least while the process has time to spare, and most while it has none', async () => {
  const rest = new TailRest();
  const learnt = () => {
    rest.learn();
    return rest.ms;
  };
  expect(rest.ms).toBe(10);
  await waitFor('the process has had nothing to do', () => learnt() === 10);
  await waitFor('it has had no time to spare', () => {
    const until = performance.now() + 200;
    while (performance.now() < until);
    return learnt() === 80;
  });
  await waitFor('it has had nothing to do again', () => learnt() === 10);
});
