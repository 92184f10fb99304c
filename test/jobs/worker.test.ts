// The worker: what it runs, how often, and what becomes of the jobs of one that was killed.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { platform_tenant_id } from '../../src/db.ts';
import { addJob, type Job, type JobOptions, job } from '../../src/job.ts';
import { buryDead, listDeadLetters } from '../../src/jobs/dead_letters.ts';
import { JobMetrics } from '../../src/jobs/metrics.ts';
import { Worker } from '../../src/jobs/worker.ts';
import { createLogger } from '../../src/log.ts';
import { queue_revision } from '../../src/migrate.ts';
import { asSuperuser, database, databaseUrl } from '../support/database.ts';
import { aTenant, type TestTenant } from '../support/factories.ts';
import { root } from '../support/source.ts';
import { waitFor } from '../support/wait.ts';

const NumberSchema = z.strictObject({ number: z.number() });
let named = 0;

/** A job of its own, and what it was run with. */
function aJob(run: (payload: { number: number }) => Promise<void> = () => Promise.resolve()) {
  const seen: { tenant_id: string; number: number }[] = [];
  named += 1;
  const kind = job({
    name: `test.job_${named}`,
    description: 'for a test',
    payload: NumberSchema,
    async run({ actor }, payload) {
      seen.push({ tenant_id: actor.tenant_id, number: payload.number });
      await run(payload);
    },
  });
  return { kind, seen };
}

function aWorker(jobs: Job[], registry = new Registry(), onDue = () => Promise.resolve()): Worker {
  const logger = createLogger('silent');
  const worker = new Worker({
    database,
    connection_string: databaseUrl('lattice_app'),
    logger,
    metrics: new JobMetrics(registry, database, logger, () => jobs.map(({ name }) => name)),
    jobs,
    concurrency: 2,
    onDue,
    onDead: () => Promise.resolve(),
  });
  worker.start();
  onTestFinished(() => worker.stop());
  return worker;
}

const add = ({ actor }: TestTenant, kind: Job, number: number, options: JobOptions = {}) =>
  database.transaction(actor, (tx) => addJob(tx, kind, { number }, options));

const CountSchema = z.object({ count: z.number() });

async function queued(kind: Job): Promise<number> {
  const [found] = await asSuperuser(
    CountSchema,
    'select count(*)::integer as count from graphile_worker.jobs where task_identifier = $1',
    [kind.name],
  );
  return found?.count ?? 0;
}

test('the schema of the queue is the one that this version knows', () => {
  const files = readdirSync(join(root, 'node_modules/graphile-worker/sql'));
  expect(Math.max(...files.map((file) => Number.parseInt(file, 10)))).toBe(queue_revision);
});

test('a job runs once, in its tenant, when the transaction that adds it commits', async () => {
  const { kind, seen } = aJob();
  const tenant = await aTenant();
  aWorker([kind]);
  await add(tenant, kind, 1);
  await waitFor('it has run', () => seen.length > 0);
  const refused = database.transaction(tenant.actor, async (tx) => {
    await addJob(tx, kind, { number: 2 });
    throw new Error('rolled back');
  });
  await expect(refused).rejects.toThrow('rolled back');
  await add(tenant, kind, 3);
  await waitFor('both have run', async () => seen.length === 2 && (await queued(kind)) === 0);
  expect(seen).toEqual([
    { tenant_id: tenant.id, number: 1 },
    { tenant_id: tenant.id, number: 3 },
  ]);
});

test('of jobs under one key only one waits, and two tenants have two keys', async () => {
  const { kind, seen } = aJob();
  const [one, other] = [await aTenant(), await aTenant()];
  await add(one, kind, 1, { key: 'same' });
  await add(one, kind, 2, { key: 'same' });
  await add(other, kind, 3, { key: 'same' });
  await add(other, kind, 4, { key: 'same', if_queued: 'keep' });
  expect(await queued(kind)).toBe(2);
  aWorker([kind]);
  await waitFor('both have run', async () => (await queued(kind)) === 0);
  expect(seen.toSorted((a, b) => a.number - b.number)).toEqual([
    { tenant_id: one.id, number: 2 },
    { tenant_id: other.id, number: 3 },
  ]);
});

test('a job that fails is tried again, and one with a payload that is not its own never runs', async () => {
  let failures = 0;
  const { kind, seen } = aJob(() => {
    failures += 1;
    return failures === 1 ? Promise.reject(new Error('the first time')) : Promise.resolve();
  });
  const registry = new Registry();
  const tenant = await aTenant();
  aWorker([kind], registry);
  await add(tenant, kind, 7);
  await waitFor('it has been tried twice', () => seen.length === 2);
  await database.transaction(tenant.actor, (tx) => addJob(tx, kind, { number: 'seven' }));
  await waitFor('it is refused', async () =>
    /lattice_jobs_total\{job="[^"]+",outcome="failed"\} 2/.test(await registry.metrics()),
  );
  await waitFor('it waits for its next attempt', async () =>
    (await registry.metrics()).includes(`lattice_jobs_waiting{job="${kind.name}"} 1`),
  );
  expect(seen).toHaveLength(2);
});

test('stopping lets a job end, and nothing stays locked', async () => {
  let end: () => void = () => undefined;
  const { kind, seen } = aJob(
    () =>
      new Promise((resolve) => {
        end = resolve;
      }),
  );
  const tenant = await aTenant();
  const worker = aWorker([kind]);
  await add(tenant, kind, 1);
  await waitFor('it runs', () => seen.length === 1);
  const stopped = worker.stop();
  end();
  await stopped;
  expect(await queued(kind)).toBe(0);
});

test('stopping tells a job that takes long, which is run again elsewhere', async () => {
  const tenant = await aTenant();
  let runs = 0;
  const kind = job({
    name: 'test.long',
    description: 'for a test',
    payload: NumberSchema,
    run: ({ signal }) => {
      runs += 1;
      if (runs > 1) return Promise.resolve();
      return new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason));
      });
    },
  });
  const worker = aWorker([kind]);
  await add(tenant, kind, 1);
  await waitFor('it runs', () => runs === 1);
  await worker.stop();
  aWorker([kind]);
  await waitFor('it has run again', async () => (await queued(kind)) === 0);
  expect(runs).toBe(2);
});

test('a worker says that it lives while what is due is put into the queue, however long that takes', async () => {
  let begun = 0;
  let end: () => void = () => undefined;
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  onTestFinished(async () => {
    end();
    await asSuperuser(z.unknown(), "delete from jobs.schedule where job = 'test.long_turn'");
  });
  await asSuperuser(
    z.unknown(),
    `insert into jobs.schedule (tenant_id, job, cron, time_zone, status, next_at, updated_at)
     values ($1, 'test.long_turn', '* * * * *', 'UTC', 'active', now(), now())`,
    [platform_tenant_id],
  );
  aWorker([aJob().kind], new Registry(), () => {
    begun += 1;
    return ended;
  });
  const isSeenSince = async (seen_at: string) => {
    const [found] = await asSuperuser(
      z.object({ later: z.boolean() }),
      'select coalesce(max(seen_at) > $1::timestamptz, false) as later from jobs.worker',
      [seen_at],
    );
    return found?.later === true;
  };
  await waitFor('the turn has begun', () => begun === 1);
  const [clock] = await asSuperuser(z.object({ now: z.string() }), 'select now()::text as now');
  await waitFor('it has beaten', () => isSeenSince(clock?.now ?? 'infinity'));
  expect(begun).toBe(1);
  end();
});

test('a job that gave up and cannot be taken out of the queue keeps no other in it', async () => {
  const [{ kind: broken }, { kind }] = [aJob(), aJob()];
  const tenant = await aTenant();
  // As nobody writes it who goes through addJob with an id of ours.
  await add(tenant, broken, 1, { of_tenant_id: tenant.id.toUpperCase() });
  await add(tenant, kind, 2);
  await asSuperuser(z.unknown(), 'update graphile_worker._private_jobs set attempts = max_attempts');
  await buryDead(database, createLogger('silent'));
  const letters = await database.read(tenant.actor, (tx) =>
    listDeadLetters(tx, { status: null, job: null }, { row_limit: 2, after: null }),
  );
  expect(letters.map(({ job: name }) => name)).toEqual([kind.name]);
  expect([await queued(broken), await queued(kind)]).toEqual([1, 0]);
  await asSuperuser(z.unknown(), 'delete from graphile_worker._private_jobs');
});
