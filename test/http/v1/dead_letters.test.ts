// Jobs that gave up: listed, tried again, dismissed; by their tenant and by who runs the platform.
import { expect, test } from 'vitest';
import { z } from 'zod';
import { asSuperuser } from '../../support/database.ts';
import { aDeadLetter, aKey, aPlatformKey, aTenant } from '../../support/factories.ts';
import { startServer } from '../../support/server.ts';

const server = await startServer();

const ListSchema = z.object({ data: z.array(z.looseObject({ id: z.string(), tenant_id: z.string() })) });
const EventsSchema = z.object({
  data: z.array(z.looseObject({ type: z.string(), actor_id: z.string(), data: z.unknown() })),
});

async function aTenantWithDeadLetter() {
  const tenant = await aTenant();
  const id = await aDeadLetter(tenant.actor);
  return { tenant, id, api: server.client(tenant.api_key) };
}

const queued = (tenant_id: string) =>
  asSuperuser(
    z.object({ task: z.string(), attempts: z.number(), key: z.string().nullable() }),
    `select task.identifier as task, job.attempts::integer as attempts, job.key
     from graphile_worker._private_jobs job join graphile_worker._private_tasks task on task.id = job.task_id
     where job.payload ->> 'tenant_id' = $1`,
    [tenant_id],
  );

const jobEvents = async (api: Awaited<ReturnType<typeof aTenantWithDeadLetter>>['api']) =>
  (await api.get('/v1/events?limit=100'))
    .as(EventsSchema)
    .data.filter(({ type }) => type.startsWith('jobs.'));

test('a job that gave up is out of the queue, on the list and in the log of its tenant', async () => {
  const { tenant, id, api } = await aTenantWithDeadLetter();
  expect(await queued(tenant.id)).toEqual([]);
  const letter = await api.get(`/v1/dead_letters/${id}`);
  expect(letter.body).toMatchObject({
    id,
    job: 'ledger.expire_holds',
    payload: {},
    attempts: 10,
    reason: 'it failed',
    status: 'waiting',
    settled_at: null,
    settled_by: null,
  });
  expect((await api.get('/v1/dead_letters?status=waiting&job=ledger.expire_holds')).body).toMatchObject({
    data: [letter.body],
    has_more: false,
  });
  expect((await api.get('/v1/dead_letters?status=dismissed')).as(ListSchema).data).toEqual([]);
  expect(await jobEvents(api)).toMatchObject([{ type: 'jobs.job_failed', data: letter.body }]);
});

test('one that is retried is in the queue again, once, and the log says by whom', async () => {
  const { tenant, id, api } = await aTenantWithDeadLetter();
  const key = 'retry';
  const first = await api.post(`/v1/dead_letters/${id}/retry`, undefined, { key });
  expect(first.status).toBe(201);
  const again = await api.post(`/v1/dead_letters/${id}/retry`, undefined, { key });
  expect(again.text).toBe(first.text);
  const waiting = { task: 'ledger.expire_holds', attempts: 0, key: `ledger.expire_holds:${tenant.id}:due` };
  expect(await queued(tenant.id)).toEqual([waiting]);
  const other = await api.post(`/v1/dead_letters/${id}/retry`);
  expect(other.body).toMatchObject({ code: 'dead_letter_settled', status: 409 });
  expect((await api.post(`/v1/dead_letters/${id}/dismissal`)).body).toMatchObject({
    code: 'dead_letter_settled',
  });
  const { settled_by } = first.as(z.looseObject({ settled_by: z.string() }));
  expect(await jobEvents(api)).toMatchObject([
    { type: 'jobs.job_failed' },
    { type: 'jobs.dead_letter_retried', actor_id: settled_by, data: { status: 'retried', settled_by } },
  ]);
});

test('one that is dismissed stays on the list', async () => {
  const { tenant, id, api } = await aTenantWithDeadLetter();
  expect((await api.post(`/v1/dead_letters/${id}/dismissal`)).body).toMatchObject({
    id,
    status: 'dismissed',
  });
  expect(await queued(tenant.id)).toEqual([]);
  expect((await api.get(`/v1/dead_letters/${id}`)).body).toMatchObject({ status: 'dismissed' });
});

test('a platform key sees and settles those of all tenants, and each tenant can read that it did', async () => {
  const { id, api } = await aTenantWithDeadLetter();
  const { id: other } = await aTenantWithDeadLetter();
  const platform = server.client(await aPlatformKey());
  const listed = (await platform.get('/v1/dead_letters?limit=200'))
    .as(ListSchema)
    .data.map((each) => each.id);
  expect(listed).toEqual(expect.arrayContaining([id, other]));
  const key = 'dismissal';
  const answer = await platform.post(`/v1/dead_letters/${id}/dismissal`, undefined, { key });
  expect(answer.status).toBe(201);
  expect((await platform.post(`/v1/dead_letters/${id}/dismissal`, undefined, { key })).text).toBe(
    answer.text,
  );
  const { settled_by } = answer.as(z.looseObject({ settled_by: z.string() }));
  expect((await jobEvents(api)).slice(1)).toMatchObject([
    { type: 'jobs.dead_letter_dismissed', actor_id: settled_by },
  ]);
  expect((await platform.post(`/v1/dead_letters/${id}/retry`)).body).toMatchObject({
    code: 'dead_letter_settled',
  });
  expect((await platform.get(`/v1/dead_letters/${other}`)).body).toMatchObject({ status: 'waiting' });
});

test('a job that this version does not know can be dismissed, not retried', async () => {
  const tenant = await aTenant();
  const id = await aDeadLetter(tenant.actor, { job: 'test.of_another_version' });
  const api = server.client(tenant.api_key);
  expect((await api.post(`/v1/dead_letters/${id}/retry`)).body).toMatchObject({ code: 'job_unknown' });
  expect((await api.get(`/v1/dead_letters/${id}`)).body).toMatchObject({ status: 'waiting' });
  expect((await api.post(`/v1/dead_letters/${id}/dismissal`)).status).toBe(201);
});

test('what is no dead letter is refused', async () => {
  const { api_key, id } = await aTenant();
  const api = server.client(api_key);
  expect((await api.get('/v1/dead_letters/txn_01h455vb4pex5vsknk084sn02q')).body).toMatchObject({
    code: 'invalid_request',
  });
  expect((await api.get('/v1/dead_letters?status=lost')).body).toMatchObject({ code: 'invalid_request' });
  const auditor = server.client((await aKey(id, 'auditor')).api_key);
  expect((await auditor.post('/v1/dead_letters/dlt_01h455vb4pex5vsknk084sn02q/retry')).body).toMatchObject({
    code: 'forbidden',
  });
});
