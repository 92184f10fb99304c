// Workers that are killed: their jobs go on elsewhere within ten seconds, and what kills each of its workers becomes a dead letter.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Registry } from 'prom-client';
import { expect, inject, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { addJob, job } from '../../src/job.ts';
import { buryDead, listDeadLetters } from '../../src/jobs/dead_letters.ts';
import { JobMetrics } from '../../src/jobs/metrics.ts';
import { Worker } from '../../src/jobs/worker.ts';
import { createLogger } from '../../src/log.ts';
import { asSuperuser, database, databaseUrl } from '../support/database.ts';
import { aTenant } from '../support/factories.ts';
import { root } from '../support/source.ts';
import { waitFor } from '../support/wait.ts';

const resumed_within_ms = 10_000;
const payload = z.strictObject({ number: z.number() });

/** A process whose worker begins what it is given and never ends it. */
function anIdleProcess(name: string): ChildProcess & { stdout: NodeJS.ReadableStream } {
  const child = spawn(process.execPath, ['test/jobs/idle_worker.ts', databaseUrl('lattice_app'), name], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  return child;
}

test('the jobs of a worker that was killed go on within ten seconds', async () => {
  const tenant = await aTenant();
  const rounds = Math.min(inject('fault_rounds'), 10);
  for (let round = 1; round <= rounds; round += 1) {
    const seen: number[] = [];
    const kind = job({
      name: `test.killed_${round}`,
      description: 'for a test',
      payload,
      async run(_, { number }) {
        seen.push(number);
      },
    });
    const child = anIdleProcess(kind.name);
    await database.transaction(tenant.actor, async (tx) => {
      await addJob(tx, kind, { number: 1 });
      await addJob(tx, kind, { number: 2 });
    });
    await once(child.stdout, 'data');
    const logger = createLogger('silent');
    const worker = new Worker({
      database,
      connection_string: databaseUrl('lattice_app'),
      logger,
      metrics: new JobMetrics(new Registry(), database, logger, () => []),
      jobs: [kind],
      concurrency: 2,
      onDue: () => Promise.resolve(),
      onDead: () => Promise.resolve(),
    });
    worker.start();
    child.kill('SIGKILL');
    const killed_ms = performance.now();
    await waitFor('both have run here', () => seen.length === 2);
    const took_ms = performance.now() - killed_ms;
    await worker.stop();
    expect(seen.toSorted()).toEqual([1, 2]);
    expect(took_ms).toBeLessThan(resumed_within_ms);
  }
});

test('a job that kills its worker each time becomes a dead letter', async () => {
  const tenant = await aTenant();
  const name = 'test.killer';
  await database.transaction(tenant.actor, (tx) => addJob(tx, { name, max_attempts: 1 }, { number: 1 }));
  const child = anIdleProcess(name);
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'exit');
  const beat = () =>
    asSuperuser(z.unknown(), "select * from jobs.beat('test', 200)").then(() =>
      buryDead(database, createLogger('silent')),
    );
  const letters = () =>
    database.read(tenant.actor, (tx) =>
      listDeadLetters(tx, { status: null, job: name }, { row_limit: 2, after: null }),
    );
  await waitFor('it is on the list', async () => {
    await beat();
    return (await letters()).length > 0;
  });
  expect(await letters()).toMatchObject([
    { job: name, attempts: 1, status: 'waiting', reason: 'whoever ran it was killed, each time' },
  ]);
});
