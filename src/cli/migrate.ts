import { z } from 'zod';
import { createLogger, type Logger } from '../log.ts';
import { type Migrated, migrate } from '../migrate.ts';
import { command } from './command.ts';
import { milliseconds } from './output.ts';
import { findSession, ownerRefusal, withPostgres } from './postgres.ts';

export const migrateCommand = command({
  name: 'migrate',
  summary: 'Brings the database to the schema of this version; as the owner of the tables',
  input: z.object({}),
  run: async ({ config, output }) => {
    const logger = createLogger('warn');
    const began = performance.now();
    const migrated =
      config.DATABASE_OWNER_URL === undefined
        ? await withPostgres(config, logger, ({ owner_url }) => {
            if (owner_url === null)
              throw new Error('set DATABASE_OWNER_URL to the database, as lattice_owner');
            return migrateAsOwner(owner_url, logger);
          })
        : await migrateAsOwner(config.DATABASE_OWNER_URL, logger);
    for (const name of migrated.applied) output.line(`applied  ${name}`);
    for (const name of migrated.functions) output.line(`function ${name}`);
    output.line(
      `${migrated.applied.length} migrations, ${migrated.functions.length} functions, ${migrated.partitions} partitions (${milliseconds(began, performance.now())})`,
    );
    output.json(migrated);
    return 0;
  },
});

/** What a superuser makes is a superuser's for ever, its functions among it. */
export async function migrateAsOwner(owner_url: string, logger: Logger): Promise<Migrated> {
  const refusal = ownerRefusal(await findSession(owner_url));
  if (refusal !== null) throw new Error(refusal);
  return migrate(owner_url, logger);
}
