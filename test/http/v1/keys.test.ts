import { expect, test } from 'vitest';
import { z } from 'zod';
import { decodeId, encodeId } from '../../../src/id.ts';
import { revokeKey } from '../../../src/modules/access/index.ts';
import { asSuperuser } from '../../support/database.ts';
import { aKey, aPlatformKey, aTenant, type TestTenant } from '../../support/factories.ts';
import { startServer } from '../../support/server.ts';
import { waitFor } from '../../support/wait.ts';

const server = await startServer();

const KeySchema = z.object({
  id: z.string(),
  name: z.string(),
  role: z.string(),
  status: z.string(),
  rotated_from: z.string().nullable(),
  created_at: z.string(),
  expires_at: z.string().nullable(),
  revoked_at: z.string().nullable(),
});
const CreatedSchema = KeySchema.extend({ api_key: z.string() });
const RotatedSchema = CreatedSchema.extend({ previous: KeySchema });
const CodeSchema = z.looseObject({ code: z.string() });
const CountSchema = z.object({ count: z.number() });

async function aTenantWithApi(): Promise<TestTenant & { api: ReturnType<typeof server.client> }> {
  const tenant = await aTenant({ mode: 'live' });
  return { ...tenant, api: server.client(tenant.api_key) };
}

async function statusOf(api_key: string): Promise<number> {
  return (await server.client(api_key).get('/v1/me')).status;
}

function codeOf(body: unknown): string {
  return CodeSchema.parse(body).code;
}

/** The tables in which a text occurs: looked for in every column of every table. */
async function occurrences(text: string): Promise<string[]> {
  const NameSchema = z.object({ name: z.string() });
  const tables = await asSuperuser(
    NameSchema,
    `select format('%I.%I', schemaname, tablename) as name
    from pg_tables
    where schemaname not in ('pg_catalog', 'information_schema')`,
  );
  expect(tables.length).toBeGreaterThan(10);
  const searches = tables.map(
    ({ name }) =>
      `select '${name}' as name where exists (select from ${name} as row where strpos(row::text, $1) > 0)`,
  );
  const found = await asSuperuser(NameSchema, searches.join(' union all '), [text]);
  return found.map(({ name }) => name);
}

test('a created key opens the tenant with its role, and is shown once', async () => {
  const { api } = await aTenantWithApi();
  const created = await api.post('/v1/keys', { name: 'Checkout', role: 'integrator_write' });
  const { api_key, ...key } = created.as(CreatedSchema);
  expect(created.status).toBe(201);
  expect(key).toEqual({
    id: expect.stringMatching(/^key_[0-9a-z]{26}$/),
    name: 'Checkout',
    role: 'integrator_write',
    status: 'active',
    rotated_from: null,
    created_at: expect.any(String),
    expires_at: null,
    revoked_at: null,
  });
  expect((await api.get(`/v1/keys/${key.id}`)).body).toEqual(key);
  expect((await server.client(api_key).get('/v1/me')).as(z.looseObject({ key: KeySchema })).key).toEqual(key);
});

test('a repeated creation shows the same secret to the same key, byte for byte, and makes no second key', async () => {
  const { api, id } = await aTenantWithApi();
  const body = { name: 'Once', role: 'auditor' };
  const first = await api.post('/v1/keys', body, { key: 'create-once' });
  const again = await api.post('/v1/keys', body, { key: 'create-once' });
  expect(again.text).toBe(first.text);
  expect(again.status).toBe(201);
  expect(again.headers.get('idempotent-replayed')).toBe('true');
  const keys = await asSuperuser(
    CountSchema,
    'select count(*)::integer as count from access.api_key where tenant_id = $1',
    [id],
  );
  expect(keys).toEqual([{ count: 2 }]);
});

test('a creation repeated with another key of the tenant shows no secret', async () => {
  const { api, id } = await aTenantWithApi();
  const body = { name: 'Once', role: 'auditor' };
  const first = (await api.post('/v1/keys', body, { key: 'k' })).as(CreatedSchema);
  const other = server.client((await aKey(id, 'owner')).api_key);
  const again = await other.post('/v1/keys', body, { key: 'k' });
  expect(again.body).toEqual({ ...first, api_key: null });
});

test('no secret is anywhere in the database: not in the log, not in the stored answer', async () => {
  const { api } = await aTenantWithApi();
  const created = (await api.post('/v1/keys', { name: 'canary-name', role: 'owner' })).as(CreatedSchema);
  const rotated = (await api.post(`/v1/keys/${created.id}/rotation`, {})).as(RotatedSchema);
  // The search finds what is there.
  expect(await occurrences('canary-name')).toContain('access.api_key');
  for (const { api_key } of [created, rotated]) expect(await occurrences(api_key.slice(-52))).toEqual([]);
});

test('a rotated key and its successor both work until the overlap ends', async () => {
  const { api, actor, id } = await aTenantWithApi();
  const old = (await api.post('/v1/keys', { name: 'Till', role: 'integrator_write' })).as(CreatedSchema);
  const rotated = (await api.post(`/v1/keys/${old.id}/rotation`, { overlap_seconds: 3600 })).as(
    RotatedSchema,
  );
  expect(rotated).toMatchObject({
    name: 'Till',
    role: 'integrator_write',
    status: 'active',
    rotated_from: old.id,
    expires_at: null,
    previous: { id: old.id, status: 'active' },
  });
  const [row] = await asSuperuser(
    z.object({ seconds: z.number() }),
    `select extract(epoch from old.expires_at - new.created_at)::float8 as seconds
    from access.api_key old join access.api_key new on new.tenant_id = old.tenant_id and new.rotated_from = old.id
    where old.tenant_id = $1 and old.id = $2`,
    [id, decodeId('key', old.id, '#')],
  );
  expect(row).toEqual({ seconds: 3600 });
  expect(await statusOf(old.api_key)).toBe(200);
  expect(await statusOf(rotated.api_key)).toBe(200);
  expect(actor.tenant_id).toBe(id);
});

test('the overlap is a day unless told otherwise', async () => {
  const { api } = await aTenantWithApi();
  const old = (await api.post('/v1/keys', { name: 'Till', role: 'auditor' })).as(CreatedSchema);
  const { previous, created_at } = (await api.post(`/v1/keys/${old.id}/rotation`, {})).as(RotatedSchema);
  expect(Date.parse(previous.expires_at ?? '') - Date.parse(created_at)).toBe(86_400_000);
});

test('a rotation without overlap ends the old key at once, though it was in memory', async () => {
  const { api } = await aTenantWithApi();
  const old = (await api.post('/v1/keys', { name: 'Leaked', role: 'operator' })).as(CreatedSchema);
  expect(await statusOf(old.api_key)).toBe(200);
  const rotated = (await api.post(`/v1/keys/${old.id}/rotation`, { overlap_seconds: 0 })).as(RotatedSchema);
  expect(rotated.previous.status).toBe('expired');
  expect(await statusOf(old.api_key)).toBe(401);
  expect(await statusOf(rotated.api_key)).toBe(200);
  const again = await api.post(`/v1/keys/${old.id}/rotation`, {});
  expect([again.status, codeOf(again.body)]).toEqual([409, 'key_expired']);
});

test('a rotation never prolongs a key', async () => {
  const { api } = await aTenantWithApi();
  const soon = new Date(Date.now() + 60_000).toISOString();
  const old = (await api.post('/v1/keys', { name: 'Short', role: 'auditor', expires_at: soon })).as(
    CreatedSchema,
  );
  const { previous } = (await api.post(`/v1/keys/${old.id}/rotation`, {})).as(RotatedSchema);
  expect(previous.expires_at).toBe(old.expires_at);
});

test('a revoked key is refused from the next request on, and stays in the list', async () => {
  const { api } = await aTenantWithApi();
  const key = (await api.post('/v1/keys', { name: 'Gone', role: 'operator' })).as(CreatedSchema);
  expect(await statusOf(key.api_key)).toBe(200);
  const revoked = (await api.post(`/v1/keys/${key.id}/revocation`)).as(KeySchema);
  expect(revoked).toMatchObject({ id: key.id, status: 'revoked', revoked_at: expect.any(String) });
  expect(await statusOf(key.api_key)).toBe(401);
  const again = await api.post(`/v1/keys/${key.id}/revocation`);
  expect([again.status, codeOf(again.body)]).toEqual([409, 'key_revoked']);
  const rotation = await api.post(`/v1/keys/${key.id}/rotation`, {});
  expect([rotation.status, codeOf(rotation.body)]).toEqual([409, 'key_revoked']);
  const listed = (await api.get('/v1/keys?status=revoked')).as(z.looseObject({ data: z.array(KeySchema) }));
  expect(listed.data).toEqual([revoked]);
});

test('keys are listed page by page in the order of their creation', async () => {
  const { api } = await aTenantWithApi();
  const PageSchema = z.object({
    data: z.array(KeySchema),
    has_more: z.boolean(),
    next_cursor: z.string().nullable(),
  });
  for (const name of ['a', 'b', 'c']) await api.post('/v1/keys', { name, role: 'auditor' });
  const first = (await api.get('/v1/keys?limit=3')).as(PageSchema);
  expect(first).toMatchObject({ data: [{}, { name: 'a' }, { name: 'b' }], has_more: true });
  const second = (await api.get(`/v1/keys?limit=3&cursor=${first.next_cursor}`)).as(PageSchema);
  expect(second).toMatchObject({ data: [{ name: 'c' }], has_more: false, next_cursor: null });
  const mismatch = await api.get(`/v1/keys?status=active&cursor=${first.next_cursor}`);
  expect([mismatch.status, codeOf(mismatch.body)]).toEqual([400, 'cursor_mismatch']);
});

test('a tenant keeps an owner key that never expires', async () => {
  const { api, actor } = await aTenantWithApi();
  const own_id = (await api.get('/v1/me')).as(z.looseObject({ key: KeySchema })).key.id;
  const soon = new Date(Date.now() + 60_000).toISOString();
  await api.post('/v1/keys', { name: 'Guest', role: 'owner', expires_at: soon });
  const revocation = await api.post(`/v1/keys/${own_id}/revocation`);
  expect([revocation.status, codeOf(revocation.body)]).toEqual([409, 'last_owner_key']);
  const rotation = await api.post(`/v1/keys/${own_id}/rotation`, { expires_at: soon });
  expect([rotation.status, codeOf(rotation.body)]).toEqual([409, 'last_owner_key']);
  await api.post('/v1/keys', { name: 'Second', role: 'owner' });
  expect((await api.post(`/v1/keys/${own_id}/revocation`)).status).toBe(201);
  expect(await statusOf(api.api_key ?? '')).toBe(401);
  expect(actor.actor_id).toBe(decodeId('key', own_id, '#'));
});

test('of two revocations at once that would end both owner keys, one is refused', async () => {
  for (let round = 0; round < 10; round += 1) {
    const { id, api_key, actor } = await aTenantWithApi();
    const second = await aKey(id, 'owner');
    const outcomes = await Promise.allSettled([
      server.database.transaction(actor, (tx) => revokeKey(tx, second.actor_id)),
      server.database.transaction(actor, (tx) => revokeKey(tx, actor.actor_id)),
    ]);
    expect(outcomes.map((outcome) => outcome.status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(outcomes.find((outcome) => outcome.status === 'rejected')?.reason).toMatchObject({
      code: 'last_owner_key',
    });
    const alive = [await statusOf(api_key), await statusOf(second.api_key)];
    expect(alive.sort()).toEqual([200, 401]);
  }
});

test('the platform keeps a key too', async () => {
  const api = server.client(await aPlatformKey());
  const { data } = (await api.get('/v1/keys?status=active')).as(z.looseObject({ data: z.array(KeySchema) }));
  const own_id = (await api.get('/v1/me')).as(z.looseObject({ key: KeySchema })).key.id;
  for (const key of data.filter((each) => each.id !== own_id))
    await api.post(`/v1/keys/${key.id}/revocation`);
  const last = await api.post(`/v1/keys/${own_id}/revocation`);
  expect([last.status, codeOf(last.body)]).toEqual([409, 'last_owner_key']);
});

test('nobody gives out a role that may do more than their own', async () => {
  const { api } = await aTenantWithApi();
  const platform_role = await api.post('/v1/keys', { name: 'Up', role: 'platform' });
  expect([platform_role.status, codeOf(platform_role.body)]).toEqual([403, 'forbidden']);
  const platform_api = server.client(await aPlatformKey());
  for (const role of ['owner', 'operator', 'auditor', 'integrator_read', 'integrator_write']) {
    const answer = await platform_api.post('/v1/keys', { name: 'Up', role });
    expect([answer.status, codeOf(answer.body)], role).toEqual([403, 'forbidden']);
  }
  for (const role of ['owner', 'operator', 'auditor', 'integrator_read', 'integrator_write']) {
    expect((await api.post('/v1/keys', { name: 'Down', role })).status, role).toBe(201);
  }
});

test("another tenant's key is a key that does not exist", async () => {
  const { api } = await aTenantWithApi();
  const other = await aTenantWithApi();
  const foreign = (await other.api.get('/v1/me')).as(z.looseObject({ key: KeySchema })).key.id;
  const missing = 'key_01h455vb4pex5vsknk084sn02q';
  for (const [method, suffix] of [
    ['GET', ''],
    ['POST', '/rotation'],
    ['POST', '/revocation'],
  ] as const) {
    const answers = [];
    for (const id of [foreign, missing]) {
      const answer = await api.send(method, `/v1/keys/${id}${suffix}`, method === 'GET' ? undefined : {});
      const { request_id: _id, ...problem } = z.record(z.string(), z.unknown()).parse(answer.body);
      answers.push({ status: answer.status, text: JSON.stringify(problem).replaceAll(id, '') });
    }
    expect(answers[0], suffix).toEqual(answers[1]);
    expect(answers[0]?.status).toBe(404);
  }
});

test('what is wrong with a request is named', async () => {
  const { api } = await aTenantWithApi();
  const ErrorsSchema = z.looseObject({
    code: z.string(),
    errors: z.array(z.looseObject({ pointer: z.string() })),
  });
  const pointersOf = async (body: unknown) => {
    const answer = await api.post('/v1/keys', body);
    expect(answer.status).toBe(400);
    return ErrorsSchema.parse(answer.body).errors.map((error) => error.pointer);
  };
  expect(await pointersOf({ role: 'owner' })).toEqual(['#/name']);
  expect(await pointersOf({ name: 'x', role: 'god' })).toEqual(['#/role']);
  expect(await pointersOf({ name: 'x', role: 'owner', expires_at: 'tomorrow' })).toEqual(['#/expires_at']);
  expect(await pointersOf({ name: 'x', role: 'owner', expires_at: '2020-01-01T00:00:00Z' })).toEqual([
    '#/expires_at',
  ]);
  expect(await pointersOf({ name: 'x', role: 'owner', tenant: 'ten_1' })).toEqual(['#/tenant']);
  expect(await pointersOf({ name: `bell\u0007`, role: 'owner' })).toEqual(['#/name']);
  const wrong_prefix = await api.get('/v1/keys/acc_01h455vb4pex5vsknk084sn02q');
  expect(ErrorsSchema.parse(wrong_prefix.body).errors[0]?.pointer).toBe('#/path/key');
});

test('the log says who did what to which key, in order', async () => {
  const { api, id } = await aTenantWithApi();
  const key = (await api.post('/v1/keys', { name: 'Logged', role: 'auditor' })).as(CreatedSchema);
  const rotated = (await api.post(`/v1/keys/${key.id}/rotation`, {})).as(RotatedSchema);
  await api.post(`/v1/keys/${key.id}/revocation`);
  const events = await asSuperuser(
    z.object({ type: z.string(), subject_id: z.string() }),
    'select type, subject_id from log.event where tenant_id = $1 and position > 1 order by position',
    [id],
  );
  const [old_id, new_id] = [key.id, rotated.id].map((each) => decodeId('key', each, '#'));
  expect(events).toEqual([
    { type: 'access.key_created', subject_id: old_id },
    { type: 'access.key_created', subject_id: new_id },
    { type: 'access.key_rotated', subject_id: old_id },
    { type: 'access.key_revoked', subject_id: old_id },
  ]);
});

test('a revocation and the end of a rotated key hold in another process as soon as it is told', async () => {
  const other = await startServer();
  for (const { url } of [server, other]) {
    await waitFor('the process hears of others', async () =>
      (await (await fetch(`${url}/metrics`)).text()).includes('lattice_wake_connected 1'),
    );
  }
  const { id, api } = await aTenantWithApi();
  const end = { revocation: undefined, rotation: { overlap_seconds: 0 } };
  for (const [change, body] of Object.entries(end)) {
    const key = await aKey(id, 'auditor');
    const there = other.client(key.api_key);
    expect((await there.get('/v1/me')).status).toBe(200);
    expect((await api.post(`/v1/keys/${encodeId('key', key.actor_id)}/${change}`, body)).status).toBe(201);
    // Long before it would look by itself.
    await waitFor(`the ${change} holds there`, async () => (await there.get('/v1/me')).status === 401, {
      timeout_ms: 3_000,
    });
  }
});
