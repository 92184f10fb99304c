// Schedules: what is due goes into the queue once, whoever looks, and what was missed is caught up once.
import { expect, test } from 'vitest';
import { z } from 'zod';
import { job } from '../../src/job.ts';
import { openPlatformSchedules, openTenantSchedules, queueDue } from '../../src/jobs/schedules.ts';
import { createLogger } from '../../src/log.ts';
import { asSuperuser, database } from '../support/database.ts';
import { aTenant } from '../support/factories.ts';
import { startServer } from '../support/server.ts';

const server = await startServer();
const logger = createLogger('silent');
const payload = z.strictObject({});
// So rarely that its time does not come while a test looks.
const yearly = job({
  name: 'test.yearly',
  description: 'for a test',
  payload,
  schedule: { of: 'platform', cron: '0 0 1 1 *', time_zone: 'UTC' },
  run: () => Promise.resolve(),
});
const daily = job({
  name: 'test.daily',
  description: 'for a test',
  payload,
  schedule: { of: 'tenant', cron: '0 3 * * *', time_zone: 'Europe/Berlin' },
  run: () => Promise.resolve(),
});

const QueuedSchema = z.object({ count: z.number() });
async function queued(name: string): Promise<number> {
  const [found] = await asSuperuser(
    QueuedSchema,
    'select count(*)::integer as count from graphile_worker.jobs where task_identifier = $1',
    [name],
  );
  return found?.count ?? 0;
}

const ScheduleSchema = z.object({
  tenant_id: z.string(),
  is_ahead: z.boolean(),
  is_told: z.boolean(),
});
const schedules = (name: string) =>
  asSuperuser(
    ScheduleSchema,
    `select tenant_id, next_at > now() as is_ahead, last_at is not null as is_told
     from jobs.schedule where job = $1 order by tenant_id`,
    [name],
  );
const clearQueue = () => asSuperuser(z.unknown(), 'delete from graphile_worker._private_jobs');

test('a schedule of the platform is due at once, then when the clock says so, and what was missed comes once', async () => {
  await openPlatformSchedules(database, [yearly, daily]);
  await openPlatformSchedules(database, [yearly, daily]);
  await Promise.all([
    queueDue(database, logger, [yearly]),
    queueDue(database, logger, [yearly]),
    queueDue(database, logger, [yearly]),
  ]);
  expect(await queued('test.yearly')).toBe(1);
  expect(await schedules('test.yearly')).toMatchObject([{ is_ahead: true, is_told: true }]);
  expect(await schedules('test.daily')).toEqual([]);
  await clearQueue();
  await queueDue(database, logger, [yearly]);
  expect(await queued('test.yearly')).toBe(0);

  await asSuperuser(z.unknown(), "update jobs.schedule set next_at = now() - interval '3 days'");
  await queueDue(database, logger, [yearly]);
  await queueDue(database, logger, [yearly]);
  expect(await queued('test.yearly')).toBe(1);
  expect(await schedules('test.yearly')).toMatchObject([{ is_ahead: true }]);
  await clearQueue();
});

test('each tenant gets the schedules of tenants, and the job of each is its own', async () => {
  const [one, other] = [await aTenant(), await aTenant()];
  const list = () => Promise.resolve([one.id, other.id]);
  await openTenantSchedules(database, [yearly, daily], list);
  await openTenantSchedules(database, [yearly, daily], list);
  expect((await schedules('test.daily')).map(({ tenant_id }) => tenant_id)).toEqual(
    [one.id, other.id].sort(),
  );
  await queueDue(database, logger, [daily]);
  expect(await queued('test.daily')).toBe(0);
  await asSuperuser(
    z.unknown(),
    "update jobs.schedule set next_at = now() - interval '1 second', status = case tenant_id when $1 then 'paused' else status end where job = 'test.daily'",
    [other.id],
  );
  await queueDue(database, logger, [daily]);
  expect(
    await asSuperuser(
      z.object({ tenant_id: z.string() }),
      "select payload ->> 'tenant_id' as tenant_id from graphile_worker._private_jobs",
    ),
  ).toEqual([{ tenant_id: one.id }]);
  await clearQueue();
});

test('a schedule that cannot be computed is put off, and keeps no other from coming', async () => {
  const tenant = await aTenant();
  await openPlatformSchedules(database, [yearly]);
  await openTenantSchedules(database, [daily], () => Promise.resolve([tenant.id]));
  const setZone = (time_zone: string) =>
    asSuperuser(
      z.unknown(),
      "update jobs.schedule set time_zone = $1, next_at = now() - interval '1 minute', last_at = null where job = 'test.yearly'",
      [time_zone],
    );
  await setZone('Mars/Olympus');
  await asSuperuser(z.unknown(), 'update jobs.schedule set next_at = now() where tenant_id = $1', [
    tenant.id,
  ]);
  await queueDue(database, logger, [yearly, daily]);
  expect([await queued('test.yearly'), await queued('test.daily')]).toEqual([0, 1]);
  expect(await schedules('test.yearly')).toMatchObject([{ is_ahead: true, is_told: false }]);
  await setZone('UTC');
  await queueDue(database, logger, [yearly, daily]);
  expect(await queued('test.yearly')).toBe(1);
  await clearQueue();
});

test('a schedule of a job that another version knows is left alone', async () => {
  await openPlatformSchedules(database, [yearly]);
  await asSuperuser(z.unknown(), 'update jobs.schedule set next_at = now()');
  await queueDue(database, logger, []);
  expect(await queued('test.yearly')).toBe(0);
});

test('a tenant sets when its tickets are cleared away, and the log says so', async () => {
  const tenant = await aTenant();
  const api = server.client(tenant.api_key);
  const named = (name: string) => expect.objectContaining({ job: name });
  const before = (await api.get('/v1/schedules')).as(z.object({ data: z.array(z.unknown()) })).data;
  expect(before).toEqual(expect.arrayContaining([named('access.prune_stream_tickets')]));
  expect(before).not.toContainEqual(named('ledger.find_due_holds'));
  const wanted = {
    job: 'access.prune_stream_tickets',
    cron: '15 4 * * *',
    time_zone: 'America/New_York',
    status: 'paused',
  };
  const set = await api.put('/v1/schedules', wanted);
  expect(set.status).toBe(200);
  expect(set.body).toMatchObject({ ...wanted, last_at: null });
  expect((await api.get('/v1/schedules')).body).toMatchObject({
    data: expect.arrayContaining([expect.objectContaining(wanted)]),
  });
  const events = await api.get('/v1/events?types=jobs.schedule_set');
  expect(events.body).toMatchObject({ data: [{ data: set.body }] });
});

test('a schedule that cannot be is refused, and says where', async () => {
  const { api_key } = await aTenant();
  const api = server.client(api_key);
  const good = { job: 'access.prune_stream_tickets', cron: '0 4 * * *' };
  const refused = async (changes: Record<string, unknown>) =>
    (await api.put('/v1/schedules', { ...good, ...changes })).body;
  expect(await refused({ cron: '61 * * * *' })).toMatchObject({
    code: 'invalid_request',
    errors: [{ pointer: '#/cron', code: 'cron_invalid' }],
  });
  expect(await refused({ cron: '0 0 31 2 *' })).toMatchObject({ errors: [{ pointer: '#/cron' }] });
  expect(await refused({ time_zone: 'Mars/Olympus' })).toMatchObject({
    errors: [{ pointer: '#/time_zone', code: 'time_zone_unknown' }],
  });
  expect(await refused({ status: 'asleep' })).toMatchObject({ code: 'invalid_request' });
  expect(await refused({ job: 'ledger.find_due_holds' })).toMatchObject({ code: 'not_found' });
  expect(await refused({ job: 'nobody.does_this' })).toMatchObject({ code: 'not_found' });
});
