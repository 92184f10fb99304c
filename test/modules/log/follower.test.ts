// How large a consumer's next slice is, from how long the last one took.
import { expect, test } from 'vitest';
import { newFollower, nextLimit } from '../../../src/modules/log/follower.ts';

/** of a slice: what it costs before its first position, and for each; about what balances take on a busy machine */
const begin_ms = 2;
const position_ms = 0.03;
const longest_ms = 400;

test('slices that were made small become large again while that keeps them short', () => {
  const consumer = {
    name: 'balances',
    description: 'sums',
    apply: async () => Promise.reject(new Error('it is not run')),
  };
  const follower = {
    ...newFollower('tenant', consumer),
    limit: 1_000,
    position: 0,
    head_position: 1_000_000,
  };
  const took = () => begin_ms + position_ms * follower.limit;
  for (let slice = 0; slice < 10; slice += 1) follower.limit = nextLimit(follower, took());
  expect(follower.limit).toBeGreaterThanOrEqual(8_000);
  expect(took()).toBeLessThan(longest_ms);
});
