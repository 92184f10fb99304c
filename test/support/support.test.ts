import { expect, test } from 'vitest';
import { z } from 'zod';
import { asSuperuser } from './database.ts';

test('a clone has the migrated schema', async () => {
  const [row] = await asSuperuser(
    z.object({ n: z.number() }),
    'select count(*)::integer as n from lattice.migration',
  );
  expect(row?.n).toBeGreaterThan(0);
});
