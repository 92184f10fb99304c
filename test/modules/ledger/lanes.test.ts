// How much goes into one batch.
import { expect, test } from 'vitest';
import { newUuid } from '../../../src/id.ts';
import { newQueue, takeBatch } from '../../../src/modules/ledger/lanes.ts';

/** A tenant of whom a thousand postings of so many entries wait. */
function aQueue(entry_count: number) {
  const queue = newQueue(newUuid());
  const entries = Array.from({ length: entry_count }, (_, index) => ({
    account: 'wallet',
    direction: index % 2 === 0 ? ('debit' as const) : ('credit' as const),
    amount: '1',
  }));
  for (let i = 0; i < 1_000; i += 1) {
    const origin = {
      actor_id: newUuid(),
      request_id: 'req_test',
      instance: '/v1/transactions',
      key_hash: newUuid(),
      request_hash: newUuid(),
      key_pointer: '#/header/Idempotency-Key',
    };
    const order = { kind: 'post' as const, request: { entries } };
    queue.lanes.single.push({
      commands: [{ origin, order }],
      atomic: false,
      dry_run: false,
      is_group: false,
      resolve: () => {},
      reject: () => {},
    });
  }
  return queue;
}

test.each([
  [2, 500],
  [4, 500],
  [10, 200],
  [1_000, 2],
])('of postings of %i entries each, a batch has %i', (entry_count, taken_count) => {
  const queue = aQueue(entry_count);
  expect(takeBatch(queue).units.length).toBe(taken_count);
  expect(queue.lanes.single.length).toBe(1_000 - taken_count);
});
