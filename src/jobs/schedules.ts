// When jobs are put into the queue by themselves. What is due goes into the queue in the transaction that moves its schedule on, so of
// several processes one does it, and what was missed while none ran is caught up once.
import { z } from 'zod';
import { type Actor, type Database, platform_tenant_id, queries, system_actor_id, type Tx } from '../db.ts';
import { Problem } from '../errors.ts';
import { addJob, type Job } from '../job.ts';
import type { Logger } from '../log.ts';
import { appendEvent } from '../modules/log/index.ts';
import { cronFault, isTimeZone, maybeNext } from './cron.ts';
import { type NewSchedule, type Schedule, ScheduleSchema } from './schema.ts';

const sql = queries(
  import.meta.url,
  'schedule_open',
  'schedule_list_due',
  'schedule_advance',
  'schedule_postpone',
  'schedule_list',
  'schedule_find',
  'schedule_lock',
  'schedule_set',
  'schedule_clock',
);

const due_per_turn = 500;
const tenants_per_page = 1_000;

export type ScheduledJob = Job & { schedule: NonNullable<Job['schedule']> };

const isScheduled = (kind: Job): kind is ScheduledJob => kind.schedule !== undefined;

const platform: Actor = {
  tenant_id: platform_tenant_id,
  actor_id: system_actor_id,
  request_id: 'schedules',
};

/** Puts what is due into the queue, and says when it is due next. What cannot be computed is put off for an hour, so that the others come. */
export async function queueDue(database: Database, logger: Logger, jobs: Job[]): Promise<void> {
  const names = jobs.filter(isScheduled).map(({ name }) => name);
  for (let count = due_per_turn; count === due_per_turn; ) {
    count = await database.transaction(platform, async (tx) => {
      const due = await tx.many(
        sql.schedule_list_due,
        { jobs: names, row_limit: due_per_turn },
        z.object({ tenant_id: z.string(), job: z.string(), cron: z.string(), time_zone: z.string() }),
      );
      const now = await readNow(tx);
      for (const { tenant_id, job, cron, time_zone } of due) {
        const kind = jobs.find(({ name }) => name === job);
        if (kind === undefined) throw new Error(`there is no job ${job}`);
        const next = readable(() => maybeNext(cron, time_zone, now));
        if (next === null) {
          logger.error({ job, tenant_id, cron, time_zone }, 'a schedule cannot be computed: it is put off');
          await tx.run(sql.schedule_postpone, { tenant_id, job });
          continue;
        }
        await addJob(tx, kind, {}, { of_tenant_id: tenant_id, key: 'schedule', if_queued: 'keep' });
        await tx.run(sql.schedule_advance, { tenant_id, job, next_at: next.toISOString() });
      }
      return due.length;
    });
  }
}

/** Null for what this version cannot read, though another may have written it: a zone that its Node does not know, or a cron text. */
function readable(next: () => Date | null): Date | null {
  try {
    return next();
  } catch {
    return null;
  }
}

/** The schedules of the platform's own jobs, due at once the first time. */
export async function openPlatformSchedules(database: Database, jobs: Job[]): Promise<void> {
  await database.transaction(platform, async (tx) => {
    for (const { name, schedule } of jobs.filter(isScheduled)) {
      if (schedule.of === 'platform') await openSchedules(tx, name, schedule, [platform_tenant_id], null);
    }
  });
}

/** The schedules of each tenant that has none yet; they come round for the first time when the clock says so. */
export async function openTenantSchedules(
  database: Database,
  jobs: Job[],
  listTenants: (page: { after: string | null; row_limit: number }) => Promise<string[]>,
): Promise<void> {
  const of_tenants = jobs.filter(isScheduled).filter(({ schedule }) => schedule.of === 'tenant');
  for (let after: string | null = null; of_tenants.length > 0; ) {
    const tenant_ids: string[] = await listTenants({ after, row_limit: tenants_per_page });
    await database.transaction(platform, async (tx) => {
      const now = await readNow(tx);
      for (const { name, schedule } of of_tenants) {
        const next = maybeNext(schedule.cron, schedule.time_zone, now);
        await openSchedules(tx, name, schedule, tenant_ids, next);
      }
    });
    const last = tenant_ids.at(-1);
    if (last === undefined || tenant_ids.length < tenants_per_page) return;
    after = last;
  }
}

/** Answers how many there were not yet. */
async function openSchedules(
  tx: Tx,
  job: string,
  { cron, time_zone }: ScheduledJob['schedule'],
  tenant_ids: string[],
  next: Date | null,
): Promise<number> {
  const next_at = next?.toISOString() ?? null;
  return tx.run(sql.schedule_open, { tenant_ids, job, cron, time_zone, next_at });
}

/** The schedules of the transaction's tenant: what was set, and what goes without saying. */
export async function listSchedules(tx: Tx, jobs: Job[]): Promise<Schedule[]> {
  const { tenant_id } = tx.actor;
  const rows = await tx.many(sql.schedule_list, { tenant_id }, ScheduleSchema);
  const known = own(tx, jobs);
  const now = await readNow(tx);
  const usual = known.filter(({ name }) => rows.every(({ job }) => job !== name));
  return [
    ...rows.filter(({ job }) => known.some(({ name }) => name === job)),
    ...usual.map((kind) => usualSchedule(kind, now)),
  ].toSorted((a, b) => (a.job < b.job ? -1 : 1));
}

/** One of them, as it is listed. Errors: `not_found`. */
export async function findSchedule(tx: Tx, jobs: Job[], job: string): Promise<Schedule> {
  const kind = findOwn(tx, jobs, job);
  const row = await tx.maybe(sql.schedule_find, { tenant_id: tx.actor.tenant_id, job }, ScheduleSchema);
  return row ?? usualSchedule(kind, await readNow(tx));
}

/** The same, and nobody changes it until the transaction ends: one that goes without saying becomes a row for that. */
export async function lockSchedule(tx: Tx, jobs: Job[], job: string): Promise<Schedule> {
  const { tenant_id } = tx.actor;
  const kind = findOwn(tx, jobs, job);
  const now = await readNow(tx);
  const next = maybeNext(kind.schedule.cron, kind.schedule.time_zone, now);
  const is_new = (await openSchedules(tx, job, kind.schedule, [tenant_id], next)) > 0;
  const row = await tx.one(sql.schedule_lock, { tenant_id, job }, ScheduleSchema);
  return is_new ? usualSchedule(kind, now) : row;
}

/** One that is locked. Errors: `invalid_request`. */
export async function setSchedule(tx: Tx, wanted: NewSchedule): Promise<Schedule> {
  const { job, cron, time_zone, status } = wanted;
  const fault = cronFault(cron);
  if (fault !== null) throw refused('cron', 'cron_invalid', fault);
  if (!isTimeZone(time_zone)) throw refused('time_zone', 'time_zone_unknown', `there is no ${time_zone}`);
  const next = maybeNext(cron, time_zone, await readNow(tx));
  if (next === null) throw refused('cron', 'cron_invalid', 'it never comes round');
  const schedule = await tx.one(
    sql.schedule_set,
    { tenant_id: tx.actor.tenant_id, job, cron, time_zone, status, next_at: next.toISOString() },
    ScheduleSchema,
  );
  await appendEvent(tx, { type: 'jobs.schedule_set', subject_id: tx.actor.tenant_id, data: schedule });
  return schedule;
}

/** The platform sets the schedules of the platform's jobs, a tenant those of its own. */
function own(tx: Tx, jobs: Job[]): ScheduledJob[] {
  const of = tx.actor.tenant_id === platform_tenant_id ? 'platform' : 'tenant';
  return jobs.filter(isScheduled).filter(({ schedule }) => schedule.of === of);
}

function findOwn(tx: Tx, jobs: Job[], job: string): ScheduledJob {
  const kind = own(tx, jobs).find(({ name }) => name === job);
  if (kind === undefined) throw new Problem('not_found', 'There is no such schedule');
  return kind;
}

function usualSchedule({ name, schedule }: ScheduledJob, now: Date): Schedule {
  const { cron, time_zone } = schedule;
  const next = maybeNext(cron, time_zone, now);
  if (next === null) throw new Error(`the schedule of ${name} never comes round`);
  const next_at = next.toISOString().replace('.000Z', 'Z');
  return { job: name, cron, time_zone, status: 'active', next_at, last_at: null, updated_at: null };
}

async function readNow(tx: Tx): Promise<Date> {
  const { now } = await tx.one(sql.schedule_clock, {}, z.object({ now: z.string() }));
  return new Date(now);
}

function refused(field: string, code: string, detail: string): Problem {
  return new Problem('invalid_request', `#/${field}: ${detail}`, {
    errors: [{ pointer: `#/${field}`, code, detail }],
  });
}
