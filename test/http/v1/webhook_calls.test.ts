// Calls that fail, hang, end or come again, and who is held up by them: a real receiver on the far side.
import type { ServerResponse } from 'node:http';
import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import {
  AttemptSchema,
  aClient,
  anEndpoint,
  CreatedSchema,
  DeliverySchema,
  deliveriesOf,
  EndpointSchema,
  EventSchema,
  ProblemSchema,
  posted_only,
  timePasses,
  twoAccounts,
} from '../../modules/webhooks/hooks.ts';
import { accept, aReceiver, type Receiver } from '../../modules/webhooks/receiver.ts';
import { asSuperuser, databaseUrl } from '../../support/database.ts';
import { aTransaction } from '../../support/factories.ts';
import { startServer } from '../../support/server.ts';
import { waitFor } from '../../support/wait.ts';

const server = await startServer();

/** In the order of arrival. */
function positionsAt({ received }: Receiver): number[] {
  return received.map(({ text }) => EventSchema.parse(JSON.parse(text)).position);
}

const ascending = (a: number, b: number) => a - b;

test('a call that fails is made again by the schedule, with the same id, and each attempt is in the delivery log', async () => {
  const api = await aClient(server);
  const receiver = await aReceiver((response, _, number) => {
    if (number < 3) response.writeHead(500).end('not today');
    else accept(response, { path: '', headers: {}, text: '', at_ms: 0 }, number);
  });
  const accounts = await twoAccounts(api);
  const { id } = await anEndpoint(api, receiver, posted_only);
  await aTransaction(api, accounts);
  const waits = async (attempts: number) =>
    waitFor(`${attempts} attempts`, async () =>
      (await deliveriesOf(api, id)).find((each) => each.attempts === attempts),
    );
  const first = await waits(1);
  expect(first).toMatchObject({
    status: 'pending',
    last_attempt: { number: 1, status_code: 500, fault: 'status_refused', answer: 'not today' },
  });
  const wait_ms =
    Date.parse(String(first.next_attempt_at)) - Date.parse(String(first.last_attempt?.started_at));
  expect(wait_ms).toBeGreaterThan(4_000);
  expect(wait_ms).toBeLessThan(6_500);
  expect((await api.get(`/v1/webhook_endpoints/${id}`)).as(EndpointSchema).failing_since).not.toBe(null);
  await timePasses(api.tenant_id);
  await waits(2);
  await timePasses(api.tenant_id);
  const done = await waits(3);
  expect(done).toMatchObject({ status: 'succeeded', next_attempt_at: null });
  const { attempt_log } = (await api.get(`/v1/webhook_deliveries/${done.id}`)).as(
    z.looseObject({ attempt_log: z.array(AttemptSchema) }),
  );
  expect(attempt_log.map(({ number, status_code }) => [number, status_code])).toEqual([
    [1, 500],
    [2, 500],
    [3, 204],
  ]);
  expect(new Set(receiver.ids())).toEqual(new Set([done.event_id]));
  expect(new Set(receiver.received.map(({ text }) => text)).size).toBe(1);
  expect((await api.get(`/v1/webhook_endpoints/${id}`)).as(EndpointSchema).failing_since).toBe(null);
});

test('Retry-After is honoured: the endpoint rests for as long as it asks', async () => {
  const api = await aClient(server);
  const receiver = await aReceiver((response) => response.writeHead(429, { 'Retry-After': '3600' }).end());
  const accounts = await twoAccounts(api);
  const { id } = await anEndpoint(api, receiver, posted_only);
  await aTransaction(api, accounts);
  const delivery = await waitFor('an attempt', async () =>
    (await deliveriesOf(api, id)).find(({ attempts }) => attempts === 1),
  );
  const wait_ms = Date.parse(String(delivery.next_attempt_at)) - Date.now();
  expect(wait_ms).toBeGreaterThan(3_590_000);
  await aTransaction(api, accounts);
  const second = await waitFor('a second delivery', async () =>
    (await deliveriesOf(api, id)).find(({ id: other }) => other !== delivery.id),
  );
  expect(second).toMatchObject({ attempts: 0, status: 'pending' });
  expect(Date.parse(String(second.next_attempt_at)) - Date.now()).toBeGreaterThan(3_590_000);
});

test('a 410 disables the endpoint and says so in the log; enabled again, it is called about what comes and what is replayed', async () => {
  const api = await aClient(server);
  const receiver = await aReceiver((response) => response.writeHead(410).end());
  const other = await aReceiver();
  const accounts = await twoAccounts(api);
  const { id } = await anEndpoint(api, receiver, posted_only);
  await anEndpoint(api, other, { types: ['webhooks.endpoint_disabled'] });
  const refused_at = await aTransaction(api, accounts);
  const read = async () => (await api.get(`/v1/webhook_endpoints/${id}`)).as(EndpointSchema);
  const disabled = await waitFor('it is disabled', async () => {
    const endpoint = await read();
    return endpoint.status === 'disabled' && endpoint.disabled_position !== null ? endpoint : null;
  });
  expect(disabled.disabled_reason).toBe('gone');
  expect(await deliveriesOf(api, id)).toMatchObject([{ status: 'pending', attempts: 1 }]);
  await waitFor('somebody is told', () => other.received.length === 1);
  const missed = await aTransaction(api, accounts);
  const replay = { after: disabled.disabled_position, up_to: missed.position };
  const refused = await api.post(`/v1/webhook_endpoints/${id}/replay`, replay);
  expect([refused.status, ProblemSchema.parse(refused.body).code]).toEqual([409, 'webhook_not_enabled']);
  receiver.answer = accept;
  expect((await api.post(`/v1/webhook_endpoints/${id}/enablement`)).as(EndpointSchema).status).toBe(
    'enabled',
  );
  const ahead = await api.post(`/v1/webhook_endpoints/${id}/replay`, { after: 99_990, up_to: 100_000 });
  expect(ahead.body).toMatchObject({
    code: 'invalid_request',
    errors: [{ pointer: '#/up_to', code: 'position_ahead' }],
  });
  const replayed = (await api.post(`/v1/webhook_endpoints/${id}/replay`, replay)).as(
    z.looseObject({ deliveries: z.number() }),
  );
  expect(replayed.deliveries).toBe(1);
  await waitFor('the replay', () => receiver.received.length === 2);
  await timePasses(api.tenant_id);
  await waitFor('what was answered 410', () => receiver.received.length === 3);
  const next = await aTransaction(api, accounts);
  await waitFor('what comes', () => receiver.received.length === 4);
  expect(positionsAt(receiver).slice(1)).toEqual([missed, refused_at, next].map(({ position }) => position));
});

test('calls that are answered 410 at the same time are all made again once the endpoint is enabled', async () => {
  const api = await aClient(server);
  const receiver = await aReceiver();
  const accounts = await twoAccounts(api);
  const { id } = await anEndpoint(api, receiver, posted_only);
  for (let count = 0; count < 4; count += 1) await aTransaction(api, accounts);
  await waitFor('it is called at once about several', () => receiver.received.length === 4);
  const open: ServerResponse[] = [];
  receiver.answer = (response) => {
    if (open.push(response) === 3) for (const each of open) each.writeHead(410).end();
  };
  const gone: number[] = [];
  for (let count = 0; count < 3; count += 1) gone.push((await aTransaction(api, accounts)).position);
  const path = `/v1/webhook_endpoints/${id}`;
  await waitFor('it is disabled, and all are recorded', async () => {
    const deliveries = await deliveriesOf(api, id);
    const { status } = (await api.get(path)).as(EndpointSchema);
    return status === 'disabled' && deliveries.filter(({ attempts }) => attempts > 0).length === 7;
  });
  receiver.answer = accept;
  await api.post(`${path}/enablement`);
  await timePasses(api.tenant_id);
  await waitFor('they are made again', () => receiver.received.length === 10);
  expect(positionsAt(receiver).slice(7).toSorted(ascending)).toEqual(gone);
});

test('an endpoint that is disabled while its deliveries are not queued yet misses nothing after the replay', async () => {
  const api = await aClient(server);
  const receiver = await aReceiver();
  const accounts = await twoAccounts(api);
  const { id } = await anEndpoint(api, receiver, posted_only);
  await aTransaction(api, accounts);
  await waitFor('the consumer follows', () => receiver.received.length === 1);
  const consumer = new pg.Client({ connectionString: databaseUrl('postgres') });
  await consumer.connect();
  onTestFinished(() => consumer.end());
  await consumer.query('begin');
  await consumer.query("select from log.consumer where tenant_id = $1 and name = 'webhooks' for update", [
    api.tenant_id,
  ]);
  const posted: number[] = [];
  for (let count = 0; count < 3; count += 1) posted.push((await aTransaction(api, accounts)).position);
  const path = `/v1/webhook_endpoints/${id}`;
  const { disabled_position } = (await api.post(`${path}/disablement`)).as(EndpointSchema);
  posted.push((await aTransaction(api, accounts)).position);
  await api.post(`${path}/enablement`);
  const { data: told } = (
    await api.get('/v1/events?types=webhooks.endpoint_disabled,webhooks.endpoint_enabled')
  ).as(z.looseObject({ data: z.array(EventSchema.extend({ data: EndpointSchema })) }));
  await api.post(`${path}/replay`, { after: disabled_position, up_to: told.at(-1)?.position });
  await consumer.query('commit');
  posted.push((await aTransaction(api, accounts)).position);
  await waitFor('all have arrived', () => receiver.received.length === 6);
  expect(positionsAt(receiver).slice(1).toSorted(ascending)).toEqual(posted);
  expect(told.map(({ data }) => data.disabled_position)).toEqual([disabled_position, disabled_position]);
});

test('an endpoint of which nothing has succeeded for five days is disabled', async () => {
  const api = await aClient(server);
  const receiver = await aReceiver((response) => response.writeHead(503).end());
  const accounts = await twoAccounts(api);
  const { id } = await anEndpoint(api, receiver, posted_only);
  await aTransaction(api, accounts);
  const read = async () => (await api.get(`/v1/webhook_endpoints/${id}`)).as(EndpointSchema);
  await waitFor('it fails', async () => (await read()).failing_since !== null);
  await asSuperuser(
    z.object({ id: z.string() }),
    `update webhooks.endpoint set failing_since = now() - interval '5 days' where tenant_id = $1 returning id`,
    [api.tenant_id],
  );
  expect((await read()).status).toBe('enabled');
  await aTransaction(api, accounts);
  const disabled = await waitFor('it is disabled', async () => {
    const endpoint = await read();
    return endpoint.status === 'disabled' ? endpoint : null;
  });
  expect(disabled.disabled_reason).toBe('failing');
});

test('one delivery is repeated, with the id of its event', async () => {
  const api = await aClient(server);
  const receiver = await aReceiver();
  const accounts = await twoAccounts(api);
  const { id } = await anEndpoint(api, receiver, posted_only);
  await aTransaction(api, accounts);
  const first = await waitFor('it succeeds', async () =>
    (await deliveriesOf(api, id)).find(({ status }) => status === 'succeeded'),
  );
  const again = await api.post(`/v1/webhook_deliveries/${first.id}/redelivery`);
  expect(again.status).toBe(201);
  expect(again.as(DeliverySchema)).toMatchObject({ origin: 'redelivery', event_id: first.event_id });
  await waitFor('a second call', () => receiver.received.length === 2);
  expect(receiver.ids()).toEqual([first.event_id, first.event_id]);
});

test('an ordered endpoint is called in the order of the log, one at a time, and what fails holds up the rest', async () => {
  const api = await aClient(server);
  let open = 0;
  let most = 0;
  const receiver = await aReceiver((response, _, number) => {
    open += 1;
    most = Math.max(most, open);
    setTimeout(() => {
      open -= 1;
      response.writeHead(number === 4 ? 500 : 204).end();
    }, 5);
  });
  const accounts = await twoAccounts(api);
  const { id } = await anEndpoint(api, receiver, { ...posted_only, ordering: 'ordered' });
  const positions: number[] = [];
  for (let count = 0; count < 40; count += 1) positions.push((await aTransaction(api, accounts)).position);
  await waitFor('the fourth has failed', async () =>
    (await deliveriesOf(api, id)).some(({ attempts, status }) => attempts === 1 && status === 'pending'),
  );
  expect(receiver.received.length).toBe(4);
  await timePasses(api.tenant_id);
  await waitFor('all have arrived', () => receiver.received.length === 41);
  expect(positionsAt(receiver)).toEqual([...positions.slice(0, 4), ...positions.slice(3)]);
  expect(most).toBe(1);
});

test('an endpoint that hangs, one that is dead and one that never ends delay nobody', async () => {
  const api = await aClient(server);
  const hanging = await aReceiver(() => {});
  const endless = await aReceiver((response) => {
    const more = () => response.write('x'.repeat(10_000), more);
    response.on('error', () => response.destroy()).on('close', () => response.destroy());
    more();
  });
  const healthy = await aReceiver();
  const accounts = await twoAccounts(api);
  for (const receiver of [hanging, endless]) await anEndpoint(api, receiver, posted_only);
  const endless_id = (await anEndpoint(api, endless, posted_only)).id;
  const dead = await api.post('/v1/webhook_endpoints', { url: 'http://127.0.0.1:9/', ...posted_only });
  await anEndpoint(api, healthy, posted_only);
  for (let count = 0; count < 20; count += 1) await aTransaction(api, accounts);
  const began_ms = performance.now();
  await waitFor('the healthy one has all', () => healthy.received.length === 20);
  expect(performance.now() - began_ms).toBeLessThan(5_000);
  const faults = async (endpoint_id: string) =>
    waitFor('a fault', async () => {
      const found = (await deliveriesOf(api, endpoint_id)).find(({ attempts }) => attempts > 0);
      return found?.last_attempt?.fault;
    });
  expect(await faults(endless_id)).toBe('answer_too_large');
  expect(await faults(dead.as(CreatedSchema).id)).toBe('connection_failed');
});
