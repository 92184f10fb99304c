// Lost updates: what can be changed has an ETag, and whoever changes it by one that is out of date is refused and changes nothing.
import { expect, test } from 'vitest';
import { z } from 'zod';
import { createUnstartedModules } from '../../scripts/openapi.ts';
import { encodeId } from '../../src/id.ts';
import type { Client } from '../support/client.ts';
import { anAccount, aPlatformKey, aTenant } from '../support/factories.ts';
import { startServer } from '../support/server.ts';
import { ProblemSchema } from './problems.ts';

const server = await startServer();
const platform_api = server.client(await aPlatformKey());
const routes = createUnstartedModules().flatMap((module) => module.routes);
const nameOf = ({ method, path }: { method: string; path: string }) => `${method.toUpperCase()} ${path}`;
const named = new Map(routes.map((route) => [nameOf(route), route]));

interface Thing {
  api: Client;
  /** where it is read */
  path: string;
}

const IdSchema = z.looseObject({ id: z.string() });

async function aClient(): Promise<Client> {
  return server.client((await aTenant()).api_key);
}

async function created(path: string, body: unknown): Promise<Thing> {
  const api = await aClient();
  return { api, path: `${path}/${(await api.post(path, body)).as(IdSchema).id}` };
}

async function anAccountAlone(): Promise<Thing> {
  const api = await aClient();
  return { api, path: `/v1/accounts/${(await anAccount(api)).code}` };
}

const aKeyAlone = () => created('/v1/keys', { name: 'Till', role: 'auditor' });

// Of a type that does not occur here: a call that fails would be a change too.
const anEndpointAlone = () =>
  created('/v1/webhook_endpoints', { url: 'https://8.8.8.8/', types: ['ledger.transaction_posted'] });

async function anotherTenant(): Promise<Thing> {
  return { api: platform_api, path: `/v1/tenants/${encodeId('tenant', (await aTenant()).id)}` };
}

async function aSchedule(): Promise<Thing> {
  return { api: await aClient(), path: '/v1/schedules/access.prune_stream_tickets' };
}

async function after(change: string, thing: Thing): Promise<Thing> {
  expect((await thing.api.post(`${thing.path}/${change}`)).status).toBeLessThan(300);
  return thing;
}

/** The thing in a state that allows the change. */
const changes: Record<string, () => Promise<Thing>> = {
  'PATCH /v1/accounts/{account}': anAccountAlone,
  'POST /v1/accounts/{account}/closure': anAccountAlone,
  'POST /v1/accounts/{account}/reopening': async () => after('closure', await anAccountAlone()),
  'POST /v1/keys/{key}/revocation': aKeyAlone,
  'POST /v1/keys/{key}/rotation': aKeyAlone,
  'PATCH /v1/tenants/{tenant}': anotherTenant,
  'POST /v1/tenants/{tenant}/suspension': anotherTenant,
  'POST /v1/tenants/{tenant}/reactivation': async () => after('suspension', await anotherTenant()),
  'PATCH /v1/webhook_endpoints/{webhook_endpoint}': anEndpointAlone,
  'POST /v1/webhook_endpoints/{webhook_endpoint}/secret_rotation': anEndpointAlone,
  'POST /v1/webhook_endpoints/{webhook_endpoint}/disablement': anEndpointAlone,
  'POST /v1/webhook_endpoints/{webhook_endpoint}/enablement': async () =>
    after('disablement', await anEndpointAlone()),
  'PUT /v1/schedules': aSchedule,
};

/** What is done beside a thing that has an ETag, and leaves it as it is. */
const beside = [
  'POST /v1/tenants/{tenant}/consumer_resumptions',
  'POST /v1/tenants/{tenant}/projection_drops',
  'POST /v1/tenants/{tenant}/projection_rebuild_cancellations',
  'POST /v1/tenants/{tenant}/projection_rebuilds',
  'POST /v1/webhook_endpoints/{webhook_endpoint}/replay',
];

test('every change of what has an ETag honours If-Match', () => {
  const tagged = routes.filter(({ kind, path, tagged }) => kind === 'read' && tagged && path.includes('{'));
  expect(tagged.length).toBeGreaterThan(4);
  const changing = routes
    .filter(({ kind }) => kind === 'write' || kind === 'post')
    .filter(({ path }) => tagged.some((of) => path === of.path || path.startsWith(`${of.path}/`)))
    .map(nameOf)
    .filter((name) => !beside.includes(name));
  const honouring = routes.filter(({ problems }) => problems.includes('precondition_failed')).map(nameOf);
  expect(honouring.sort()).toEqual([...changing, 'PUT /v1/schedules'].sort());
  expect(Object.keys(changes).sort()).toEqual(honouring.sort());
});

const etagIn = (answer: { headers: Headers }) => String(answer.headers.get('etag'));

test.each(Object.entries(changes))('%s is refused to whoever read an older state', async (name, make) => {
  const { api, path } = await make();
  const route = named.get(name);
  if (route === undefined) throw new Error(`there is no route ${name}`);
  const target = route.path.includes('{') ? route.path.replace(/^\/v1\/\w+\/\{\w+\}/, path) : route.path;
  const change = (etag: string) =>
    api.send(route.method.toUpperCase(), target, route.example ?? {}, { headers: { 'If-Match': etag } });

  const before = await api.get(path);
  expect(etagIn(before)).toMatch(/^"[^"]+"$/);
  const refused = await change('"nope"');
  expect([refused.status, ProblemSchema.parse(refused.body).code]).toEqual([412, 'precondition_failed']);
  expect(etagIn(refused)).toBe(etagIn(before));
  expect((await api.get(path)).text).toBe(before.text);

  const done = await change(etagIn(before));
  expect(done.status).toBeLessThan(300);
  const now = await api.get(path);
  expect(now.text).not.toBe(before.text);
  // A rotation answers the new key.
  const { id } = z.looseObject({ id: z.string().optional() }).parse(done.body);
  const answered = route.path.startsWith('/v1/keys/') ? await api.get(`/v1/keys/${id}`) : now;
  expect(etagIn(done)).toBe(etagIn(answered));
  const late = await change(etagIn(before));
  expect([late.status, ProblemSchema.parse(late.body).code]).toEqual([412, 'precondition_failed']);
  expect((await api.get(path)).text).toBe(now.text);
});

test('of two that set a schedule nobody has set before, by the same ETag, one is refused', async () => {
  const { api, path } = await aSchedule();
  const headers = { 'If-Match': etagIn(await api.get(path)) };
  const set = (cron: string) =>
    api.put('/v1/schedules', { job: 'access.prune_stream_tickets', cron }, { headers });
  const answers = await Promise.all([set('0 4 * * *'), set('0 5 * * *')]);
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 412]);
  const list = (await api.get('/v1/schedules')).as(z.looseObject({ data: z.array(z.unknown()) }));
  expect(list.data).toContainEqual((await api.get(path)).body);
});

test('If-Match: * and no If-Match take any state', async () => {
  const { api, path } = await anAccountAlone();
  expect((await api.patch(path, { name: 'A' }, { headers: { 'If-Match': '*' } })).status).toBe(200);
  expect((await api.patch(path, { name: 'B' })).status).toBe(200);
});
