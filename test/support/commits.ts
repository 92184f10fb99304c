// Commits that stand still, as for a slow disk: what a transaction has written is there for itself, and for nobody else yet.
import pg from 'pg';
import { z } from 'zod';
import { asSuperuser, databaseUrl } from './database.ts';
import { waitFor } from './wait.ts';

const commit_lock = 4_711;
const CountSchema = z.object({ count: z.number() });

await asSuperuser(
  z.unknown(),
  `create function public.wait_at_commit() returns trigger language plpgsql as $$
   begin perform pg_advisory_xact_lock_shared(${commit_lock}); return null; end $$`,
);
await asSuperuser(
  z.unknown(),
  `create constraint trigger wait_at_commit after insert on log.idempotency_key
   deferrable initially deferred for each row execute function public.wait_at_commit()`,
);

/** From now on every commit of this file's database that stores a key waits, until they are let go. */
export async function holdCommits(): Promise<{
  /** Resolves when one of them waits. */
  oneWaits: () => Promise<void>;
  letGo: () => Promise<void>;
}> {
  const holder = new pg.Client({ connectionString: databaseUrl('postgres') });
  await holder.connect();
  await holder.query('select pg_advisory_lock($1)', [commit_lock]);
  return {
    oneWaits: async () => {
      await waitFor('a commit waits', async () => {
        const [waiting] = await asSuperuser(
          CountSchema,
          `select count(*)::integer as count from pg_locks join pg_stat_activity using (pid)
           where datname = current_database() and locktype = 'advisory' and classid = 0 and objid = $1 and not granted`,
          [commit_lock],
        );
        return waiting?.count === 1;
      });
    },
    letGo: () => holder.end(),
  };
}
