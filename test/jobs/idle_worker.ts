// A second process with a worker whose job never ends: it says so once it has begun, and waits to be killed.
import process from 'node:process';
import { Registry } from 'prom-client';
import { z } from 'zod';
import { Database } from '../../src/db.ts';
import { job } from '../../src/job.ts';
import { JobMetrics } from '../../src/jobs/metrics.ts';
import { Worker } from '../../src/jobs/worker.ts';
import { createLogger } from '../../src/log.ts';

const [, , connection_string = '', name = ''] = process.argv;
const logger = createLogger('warn');
const database = new Database({ connection_string, size: 4, application_name: 'lattice test', logger });
new Worker({
  database,
  connection_string,
  logger,
  metrics: new JobMetrics(new Registry(), database, logger, () => []),
  jobs: [
    job({
      name,
      description: 'never ends',
      payload: z.strictObject({ number: z.number() }),
      run: () => {
        process.stdout.write('begun\n');
        return new Promise(() => undefined);
      },
    }),
  ],
  concurrency: 2,
  onDue: () => Promise.resolve(),
  onDead: () => Promise.resolve(),
}).start();
