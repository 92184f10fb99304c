// Reading the items of a bulk request: however much is wrong with them, others have their turns meanwhile.
import { expect, test } from 'vitest';
import { readItems } from '../../../src/modules/ledger/bulk_items.ts';

test('saying what is wrong with a large body lets others have their turns', async () => {
  const hopeless = { entries: Array.from({ length: 1_000 }, () => ({})) };
  let turns = 0;
  const other = setInterval(() => {
    turns += 1;
  });
  const items = await readItems(
    {
      principal: { tenant_id: '', actor_id: '', request_id: '', role: 'owner', can: () => true },
      atomic: false,
      items: Array.from({ length: 100 }, () => hopeless),
      media_type: 'json',
      instance: '/v1/transactions/bulk',
      idempotency: { key: 'a', key_hash: '', request_hash: '' },
      dry_run: false,
    },
    'req_test',
  );
  clearInterval(other);
  expect(items).toHaveLength(100);
  expect(turns).toBeGreaterThan(5);
});
