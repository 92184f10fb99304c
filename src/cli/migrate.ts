import { z } from 'zod';
import { createLogger } from '../log.ts';
import { migrate } from '../migrate.ts';
import { command } from './command.ts';
import { milliseconds } from './output.ts';
import { withPostgres } from './postgres.ts';

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
            return migrate(owner_url, logger);
          })
        : await migrate(config.DATABASE_OWNER_URL, logger);
    for (const name of migrated.applied) output.line(`applied  ${name}`);
    for (const name of migrated.functions) output.line(`function ${name}`);
    output.line(
      `${migrated.applied.length} migrations, ${migrated.functions.length} functions, ${migrated.partitions} partitions (${milliseconds(began, performance.now())})`,
    );
    output.json(migrated);
    return 0;
  },
});
