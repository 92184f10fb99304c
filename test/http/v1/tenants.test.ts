import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { decodeId } from '../../../src/id.ts';
import { finishOpenings } from '../../../src/modules/ledger/onboarding.ts';
import { findTenant } from '../../../src/modules/tenants/index.ts';
import { templates } from '../../../src/modules/tenants/templates/index.ts';
import type { Answer } from '../../support/client.ts';
import { asSuperuser } from '../../support/database.ts';
import { aPlatformKey, aTenant } from '../../support/factories.ts';
import { startServer } from '../../support/server.ts';

// Some tests break what the server needs; its complaints are expected.
const server = await startServer({ LOG_LEVEL: 'silent' });
const platform_api = server.client(await aPlatformKey());

const TenantSchema = z.object({
  id: z.string(),
  slug: z.string(),
  name: z.string(),
  mode: z.string(),
  status: z.string(),
  template: z.string(),
  currency: z.string(),
  created_at: z.string(),
  updated_at: z.string(),
});
const OpenedSchema = TenantSchema.extend({ owner_key: z.object({ id: z.string(), api_key: z.string() }) });
const TenantPageSchema = z.object({
  data: z.array(TenantSchema),
  has_more: z.boolean(),
  next_cursor: z.string().nullable(),
});
const AccountPageSchema = z.looseObject({
  data: z.array(
    z.looseObject({ code: z.string(), type: z.string(), currency: z.string(), scale: z.number() }),
  ),
});
const EventSchema = z.object({ position: z.number(), type: z.string() });

function aSlug(): string {
  return `t-${randomBytes(8).toString('hex')}`;
}

function outcome(answer: Answer): [number, string] {
  return [answer.status, z.looseObject({ code: z.string() }).parse(answer.body).code];
}

async function eventsOf(tenant_id: string) {
  return asSuperuser(
    EventSchema,
    'select position::integer, type from log.event where tenant_id = $1 order by position',
    [tenant_id],
  );
}

/** A right that the process needs in the tenant's own transaction, taken from it as long as `work` runs. */
async function withoutRight(right: string, work: () => Promise<void>): Promise<void> {
  const NothingSchema = z.object({});
  await asSuperuser(NothingSchema, `revoke ${right} from lattice_app`);
  try {
    await work();
  } finally {
    await asSuperuser(NothingSchema, `grant ${right} to lattice_app`);
  }
}

test.each(Object.keys(templates).filter((name) => name !== 'blank'))(
  'one call makes a tenant ready to post: %s',
  async (template) => {
    const slug = aSlug();
    const answer = await platform_api.post('/v1/tenants', { slug, name: 'Acme', template, currency: 'JPY' });
    expect(answer.status).toBe(201);
    const { owner_key, ...tenant } = answer.as(OpenedSchema);
    expect(tenant).toMatchObject({
      slug,
      name: 'Acme',
      mode: 'live',
      status: 'active',
      template,
      currency: 'JPY',
    });
    expect(owner_key.api_key).toMatch(/^lk_live_/);
    const api = server.client(owner_key.api_key);
    expect((await api.get('/v1/tenant')).body).toEqual(tenant);
    const { data } = (await api.get('/v1/accounts?limit=200')).as(AccountPageSchema);
    expect(data.every(({ currency, scale }) => currency === 'JPY' && scale === 0)).toBe(true);
    const { accounts } = templates[z.enum(['lending', 'bnpl', 'psp', 'wallets']).parse(template)];
    expect(data.map(({ code, name, type }) => ({ code, name, type }))).toEqual(
      [...accounts].sort((a, b) => (a.code < b.code ? -1 : 1)),
    );
    const posted = await api.post('/v1/transactions', {
      entries: [
        { account: 'assets:cash:operating', direction: 'debit', amount: '1000' },
        { account: 'equity:opening', direction: 'credit', amount: '1000' },
      ],
    });
    expect(posted.status).toBe(201);
  },
);

test("a tenant's log begins with its opening, its owner's key and its accounts", async () => {
  const body = { slug: aSlug(), name: 'Acme', template: 'psp', currency: 'EUR' };
  const { id } = (await platform_api.post('/v1/tenants', body)).as(OpenedSchema);
  const events = await eventsOf(decodeId('tenant', id, '#'));
  expect(events.map(({ position }) => position)).toEqual(events.map((_, index) => index + 1));
  expect(events.slice(0, 3).map(({ type }) => type)).toEqual([
    'tenants.tenant_opened',
    'access.key_created',
    'ledger.account_created',
  ]);
  expect(events.length).toBe(2 + templates.psp.accounts.length);
});

test('a tenant may be opened in a currency of its own, among its assets', async () => {
  const answer = await platform_api.post('/v1/tenants', {
    slug: aSlug(),
    name: 'Points Club',
    mode: 'test',
    template: 'wallets',
    currency: 'POINTS',
    assets: [
      { currency: 'POINTS', scale: 0, name: 'Points' },
      { currency: 'GOLDGRAM', scale: 6, name: 'Grams of gold' },
    ],
  });
  const { owner_key } = answer.as(OpenedSchema);
  expect(owner_key.api_key).toMatch(/^lk_test_/);
  const api = server.client(owner_key.api_key);
  const assets = (await api.get('/v1/assets')).as(
    z.looseObject({ data: z.array(z.looseObject({ currency: z.string() })) }),
  );
  expect(assets.data.map(({ currency }) => currency)).toEqual(['GOLDGRAM', 'POINTS']);
  const { data } = (await api.get('/v1/accounts?limit=1')).as(AccountPageSchema);
  expect(data).toMatchObject([{ currency: 'POINTS', scale: 0 }]);
});

test('a repeated creation answers the same bytes, and opens the tenant once', async () => {
  const body = { slug: aSlug(), name: 'Acme', template: 'bnpl', currency: 'EUR' };
  const key = aSlug();
  const first = await platform_api.post('/v1/tenants', body, { key });
  const before = await eventsOf(decodeId('tenant', first.as(OpenedSchema).id, '#'));
  const again = await platform_api.post('/v1/tenants', body, { key });
  expect(again.text).toBe(first.text);
  expect(again.headers.get('idempotent-replayed')).toBe('true');
  expect(await eventsOf(decodeId('tenant', first.as(OpenedSchema).id, '#'))).toEqual(before);
});

test('twenty clients with the same key make one tenant, and all get its key', async () => {
  const body = { slug: aSlug(), name: 'Acme', template: 'psp', currency: 'EUR' };
  const key = aSlug();
  const send = () => platform_api.post('/v1/tenants', body, { key });
  const answers = await Promise.all(Array.from({ length: 20 }, send));
  const refused = answers.filter((answer) => answer.status === 409);
  for (const answer of refused) expect(outcome(answer)).toEqual([409, 'idempotency_key_in_use']);
  const answered = [...answers.filter((answer) => !refused.includes(answer)), await send()];
  const texts = new Set(answered.map((answer) => answer.text));
  expect(texts.size).toBe(1);
  const [text = ''] = texts;
  const { owner_key, id } = OpenedSchema.parse(JSON.parse(text));
  expect((await server.client(owner_key.api_key).get('/v1/me')).status).toBe(200);
  const events = await eventsOf(decodeId('tenant', id, '#'));
  expect(events.length).toBe(2 + templates.psp.accounts.length);
});

// What the process does between its two transactions fails here for real: the tenant's own transaction lacks a right.
test.each(['insert on access.api_key', 'insert on ledger.account', 'insert on tenants.asset'])(
  'a creation that broke off between its two transactions is resolved by repeating it: %s',
  async (right) => {
    const body = {
      slug: aSlug(),
      name: 'Interrupted',
      template: 'lending',
      currency: 'EUR',
      assets: [{ currency: 'POINTS', scale: 0, name: 'Points' }],
    };
    const key = aSlug();
    await withoutRight(right, async () => {
      const broken = await platform_api.post('/v1/tenants', body, { key });
      expect(outcome(broken)).toEqual([500, 'internal_error']);
    });
    const [left] = await asSuperuser(
      z.object({ tenant_id: z.string(), status: z.string() }),
      'select tenant_id, status from tenants.tenant where slug = $1',
      [body.slug],
    );
    if (left === undefined) throw new Error('the first transaction has not committed');
    expect(left.status).toBe('opening');
    expect(await eventsOf(left.tenant_id)).toEqual([]);

    const repeated = await platform_api.post('/v1/tenants', body, { key });
    const { owner_key, status } = repeated.as(OpenedSchema);
    expect(status).toBe('active');
    const api = server.client(owner_key.api_key);
    expect((await api.get('/v1/tenant')).as(TenantSchema)).toMatchObject({
      slug: body.slug,
      status: 'active',
    });
    expect((await api.get('/v1/accounts?limit=200')).as(AccountPageSchema).data.length).toBe(
      templates.lending.accounts.length,
    );
    expect((await platform_api.post('/v1/tenants', body, { key })).text).toBe(repeated.text);
  },
);

test('another platform key that repeats a broken creation opens the tenant too, without learning its key', async () => {
  const body = { slug: aSlug(), name: 'Interrupted', template: 'psp', currency: 'EUR' };
  const key = aSlug();
  await withoutRight('insert on ledger.account', async () => {
    await platform_api.post('/v1/tenants', body, { key });
  });
  const other = await server.client(await aPlatformKey()).post('/v1/tenants', body, { key });
  expect(other.status).toBe(201);
  expect(other.body).toMatchObject({ status: 'active', owner_key: { api_key: null } });
  const { owner_key } = (await platform_api.post('/v1/tenants', body, { key })).as(OpenedSchema);
  expect((await server.client(owner_key.api_key).get('/v1/me')).status).toBe(200);
});

test('the next start of a process opens what another has left', async () => {
  const body = { slug: aSlug(), name: 'Interrupted', template: 'psp', currency: 'EUR' };
  const key = aSlug();
  await withoutRight('insert on ledger.account', async () => {
    await platform_api.post('/v1/tenants', body, { key });
  });
  const next = await startServer();
  await next.close();
  const { data } = (await platform_api.get('/v1/tenants?status=opening')).as(TenantPageSchema);
  expect(data).toEqual([]);
  const { owner_key } = (await platform_api.post('/v1/tenants', body, { key })).as(OpenedSchema);
  expect((await server.client(owner_key.api_key).get('/v1/me')).status).toBe(200);
});

test('of processes that open the same tenant at once, one does', async () => {
  const body = { slug: aSlug(), name: 'Interrupted', template: 'psp', currency: 'EUR' };
  const key = aSlug();
  await withoutRight('insert on ledger.account', async () => {
    await platform_api.post('/v1/tenants', body, { key });
  });
  await Promise.all(Array.from({ length: 8 }, () => finishOpenings(server.database)));
  const { id } = (await platform_api.post('/v1/tenants', body, { key })).as(OpenedSchema);
  const events = await eventsOf(decodeId('tenant', id, '#'));
  expect(events.length).toBe(2 + templates.psp.accounts.length);
});

test('a refused creation leaves nothing', async () => {
  const slug = aSlug();
  const valid = { slug, name: 'Acme', template: 'psp', currency: 'EUR' };
  const asset = { currency: 'POINTS', scale: 0, name: 'Points' };
  const refused: [unknown, number, string][] = [
    [{ ...valid, slug: 'Acme' }, 400, 'invalid_request'],
    [{ ...valid, slug: 'a--b' }, 400, 'invalid_request'],
    [{ ...valid, slug: 'a'.repeat(64) }, 400, 'invalid_request'],
    [{ ...valid, template: 'casino' }, 400, 'invalid_request'],
    [{ ...valid, currency: 'eur' }, 400, 'invalid_request'],
    [{ ...valid, mode: 'sandbox' }, 400, 'invalid_request'],
    [{ ...valid, assets: [asset, asset] }, 400, 'invalid_request'],
    [{ ...valid, assets: [{ ...asset, scale: 19 }] }, 400, 'invalid_request'],
    [{ ...valid, owner: 'me' }, 400, 'invalid_request'],
    [{ ...valid, currency: 'POINTS' }, 422, 'currency_unknown'],
    [{ ...valid, currency: 'XAU' }, 422, 'currency_unknown'],
    [{ ...valid, assets: [{ ...asset, currency: 'EUR' }] }, 409, 'asset_taken'],
  ];
  for (const [body, status, code] of refused) {
    expect(outcome(await platform_api.post('/v1/tenants', body)), JSON.stringify(body)).toEqual([
      status,
      code,
    ]);
  }
  expect((await platform_api.post('/v1/tenants', valid)).status).toBe(201);
});

test('a slug is taken once, and the refusal is sticky', async () => {
  const body = { slug: aSlug(), name: 'First', template: 'blank', currency: 'EUR' };
  await platform_api.post('/v1/tenants', body);
  const key = aSlug();
  const refused = await platform_api.post('/v1/tenants', { ...body, name: 'Second' }, { key });
  expect(outcome(refused)).toEqual([409, 'tenant_slug_taken']);
  const again = await platform_api.post('/v1/tenants', { ...body, name: 'Second' }, { key });
  expect(again.text).toBe(refused.text);
});

test('a renamed tenant has another ETag, and a change made to an older state is refused', async () => {
  const body = { slug: aSlug(), name: 'Before', template: 'blank', currency: 'EUR' };
  const { id } = (await platform_api.post('/v1/tenants', body)).as(OpenedSchema);
  const read = await platform_api.get(`/v1/tenants/${id}`);
  const etag = read.headers.get('etag') ?? '';
  expect(etag).toMatch(/^"[^"]+"$/);
  const options = { headers: { 'If-Match': etag } };
  const renamed = await platform_api.patch(`/v1/tenants/${id}`, { name: 'After' }, options);
  expect(renamed.as(TenantSchema)).toMatchObject({ name: 'After', slug: body.slug });
  expect(renamed.headers.get('etag')).not.toBe(etag);
  const late = await platform_api.patch(`/v1/tenants/${id}`, { name: 'Late' }, options);
  expect(outcome(late)).toEqual([412, 'precondition_failed']);
  expect((await platform_api.get(`/v1/tenants/${id}`)).body).toEqual(renamed.body);
});

test('a suspended tenant is refused at once, keeps its books, and comes back', async () => {
  const tenant = await aTenant();
  const api = server.client(tenant.api_key);
  const id = (await api.get('/v1/tenant')).as(TenantSchema).id;
  const suspended = await platform_api.post(`/v1/tenants/${id}/suspension`);
  expect([suspended.status, suspended.as(TenantSchema).status]).toEqual([201, 'suspended']);
  expect(outcome(await api.get('/v1/tenant'))).toEqual([403, 'tenant_suspended']);
  expect(outcome(await api.post('/v1/accounts', {}))).toEqual([403, 'tenant_suspended']);
  expect(outcome(await platform_api.post(`/v1/tenants/${id}/suspension`))).toEqual([
    409,
    'tenant_not_active',
  ]);
  expect((await platform_api.post(`/v1/tenants/${id}/reactivation`)).status).toBe(201);
  expect((await api.get('/v1/tenant')).as(TenantSchema).status).toBe('active');
  expect(outcome(await platform_api.post(`/v1/tenants/${id}/reactivation`))).toEqual([
    409,
    'tenant_not_suspended',
  ]);
});

test('tenants are listed page by page, without the platform itself', async () => {
  const ids: string[] = [];
  let cursor: string | null = null;
  do {
    const query: string = cursor === null ? '' : `&cursor=${cursor}`;
    const page = (await platform_api.get(`/v1/tenants?limit=7${query}`)).as(TenantPageSchema);
    ids.push(...page.data.map(({ id }) => id));
    cursor = page.next_cursor;
  } while (cursor !== null);
  expect(ids).toEqual([...ids].sort());
  const all = (await platform_api.get('/v1/tenants?limit=200')).as(TenantPageSchema);
  expect(all.data.map(({ id }) => id)).toEqual(ids);
  expect(all.data.map(({ slug }) => slug)).not.toContain('platform');
});

test('the platform cannot be suspended or renamed', async () => {
  const own = (await platform_api.get('/v1/tenant')).as(TenantSchema);
  expect(own.slug).toBe('platform');
  expect(outcome(await platform_api.get(`/v1/tenants/${own.id}`))).toEqual([404, 'not_found']);
  expect(outcome(await platform_api.patch(`/v1/tenants/${own.id}`, { name: 'x' }))).toEqual([
    404,
    'not_found',
  ]);
  expect(outcome(await platform_api.post(`/v1/tenants/${own.id}/suspension`))).toEqual([404, 'not_found']);
});

test('a tenant reads its own row and no other, whatever it asks the database', async () => {
  const [one, two] = [await aTenant(), await aTenant()];
  await server.database.read(one.actor, async (tx) => {
    expect((await findTenant(tx, one.id)).slug).toBe(one.slug);
    await expect(findTenant(tx, two.id)).rejects.toMatchObject({ code: 'not_found' });
  });
});
