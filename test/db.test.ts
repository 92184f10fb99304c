// The door to Postgres when Postgres closes it.
import { expect, test } from 'vitest';
import { z } from 'zod';
import { asSuperuser, database } from './support/database.ts';
import { platform } from './support/factories.ts';
import { waitFor } from './support/wait.ts';

const PidSchema = z.object({ pid: z.number() });
const EndedSchema = z.object({ ended: z.boolean() });

async function idleInTransaction(): Promise<number[]> {
  const sessions = await asSuperuser(
    PidSchema,
    `select pid from pg_stat_activity
    where datname = current_database() and application_name = 'lattice test' and state = 'idle in transaction'`,
  );
  return sessions.map(({ pid }) => pid);
}

test('a connection that breaks between two statements of a transaction fails that transaction and nothing else', async () => {
  const cut = database.transaction(platform, async () => {
    const [pid] = await idleInTransaction();
    expect(await asSuperuser(EndedSchema, 'select pg_terminate_backend($1) as ended', [pid])).toEqual([
      { ended: true },
    ]);
    await waitFor('the session is gone', async () => (await idleInTransaction()).length === 0);
  });
  await expect(cut).rejects.toMatchObject({ code: 'unavailable' });
  expect(await database.transaction(platform, async () => 'done')).toBe('done');
});
