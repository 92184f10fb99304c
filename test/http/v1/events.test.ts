import { expect, test } from 'vitest';
import { z } from 'zod';
import { decodeId, newUuid } from '../../../src/id.ts';
import type { Answer } from '../../support/client.ts';
import { asSuperuser } from '../../support/database.ts';
import { anAccount, aPlatformKey, aTenant, aTransaction } from '../../support/factories.ts';
import { startServer } from '../../support/server.ts';
import { refusal } from '../problems.ts';

const server = await startServer();

const EventSchema = z.looseObject({
  position: z.number(),
  type: z.string(),
  subject: z.string(),
  request_id: z.string(),
  data: z.unknown(),
});
const PageSchema = z.object({
  data: z.array(EventSchema),
  has_more: z.boolean(),
  next_cursor: z.string().nullable(),
  after: z.number(),
});

async function aClient() {
  return server.client((await aTenant()).api_key);
}

type Api = Awaited<ReturnType<typeof aClient>>;

async function read(api: Api, query = '') {
  return (await api.get(`/v1/events${query}`)).as(PageSchema);
}

const positions = (page: z.infer<typeof PageSchema>) => page.data.map((event) => event.position);

test('the log is dense and in order, and names who did what in which request', async () => {
  const tenant = await aTenant();
  const api = server.client(tenant.api_key);
  const before = (await read(api)).after;
  const account = await api.post('/v1/accounts', { code: 'log:a', type: 'liability', currency: 'EUR' });
  const closed = await api.post('/v1/accounts/log:a/closure', {});
  const page = await read(api, `?after=${before}`);
  const me = z.object({ key: z.object({ id: z.string() }) }).parse((await api.get('/v1/me')).body);
  const { id } = z.object({ id: z.string() }).parse(account.body);
  expect(page).toEqual({
    data: [
      {
        id: expect.stringMatching(/^evt_/),
        position: before + 1,
        type: 'ledger.account_created',
        subject: id,
        occurred_at: expect.any(String),
        recorded_at: expect.any(String),
        actor_id: me.key.id,
        request_id: account.headers.get('request-id'),
        data: expect.objectContaining({ code: 'log:a', status: 'open' }),
      },
      {
        id: expect.stringMatching(/^evt_/),
        position: before + 2,
        type: 'ledger.account_closed',
        subject: id,
        occurred_at: expect.any(String),
        recorded_at: expect.any(String),
        actor_id: me.key.id,
        request_id: closed.headers.get('request-id'),
        data: expect.objectContaining({ code: 'log:a', status: 'closed' }),
      },
    ],
    has_more: false,
    next_cursor: null,
    after: before + 2,
  });
});

test('following the pages, or `after`, reads every position once', async () => {
  const api = await aClient();
  for (let index = 0; index < 7; index += 1) await anAccount(api);
  const all = positions(await read(api));
  expect(all).toEqual(all.map((_, index) => index + 1));
  const by_link: number[] = [];
  let path: string | undefined = '/v1/events?limit=3';
  while (path !== undefined) {
    const answer = await api.get(path);
    by_link.push(...positions(answer.as(PageSchema)));
    path = /<([^>]+)>/.exec(answer.headers.get('link') ?? '')?.[1];
  }
  expect(by_link).toEqual(all);
  const by_after: number[] = [];
  let page = await read(api, '?limit=3');
  while (page.data.length > 0) {
    by_after.push(...positions(page));
    page = await read(api, `?limit=3&after=${page.after}`);
  }
  expect(by_after).toEqual(all);
});

test('a reader at the end stays where it is', async () => {
  const api = await aClient();
  const { after } = await read(api);
  expect(await read(api, `?after=${after}`)).toEqual({ data: [], has_more: false, next_cursor: null, after });
});

test('types keep what is asked for, and the reader’s place', async () => {
  const api = await aClient();
  for (const code of ['t:a', 't:b']) await anAccount(api, { code });
  await aTransaction(api, { debit: 't:a', credit: 't:b' });
  await aTransaction(api, { debit: 't:a', credit: 't:b', status: 'pending' });
  const head = (await read(api)).after;
  const page = await read(api, '?types=ledger.transaction_posted,ledger.transaction_held&limit=1');
  expect(page.data.map((event) => event.type)).toEqual(['ledger.transaction_posted']);
  expect(page.has_more).toBe(true);
  const rest = await read(
    api,
    `?types=ledger.transaction_posted,ledger.transaction_held&limit=1&cursor=${page.next_cursor}`,
  );
  expect(rest.data.map((event) => event.type)).toEqual(['ledger.transaction_held']);
  const none = await read(api, '?types=access.key_revoked');
  expect(none).toEqual({ data: [], has_more: false, next_cursor: null, after: head });
});

test('a rare type is looked for in steps, so that no page takes long', async () => {
  const tenant = await aTenant();
  const api = server.client(tenant.api_key);
  const { after: first } = await read(api);
  await asSuperuser(
    z.looseObject({}),
    `insert into log.event (tenant_id, position, id, type, subject_id, data, actor_id, request_id, occurred_at, recorded_at)
     select tenant_id, position + number, gen_random_uuid(), type, subject_id, data, actor_id, request_id, occurred_at, now()
     from log.event, generate_series(1, 20100) number where tenant_id = $1 and position = $2`,
    [tenant.id, first],
  );
  await anAccount(api, { code: 'rare:1' });
  const query = `?types=ledger.account_created&after=${first}`;
  const page = await read(api, query);
  expect(page).toMatchObject({ data: [], has_more: true, after: first + 20_000 });
  const next = await read(api, `${query}&cursor=${page.next_cursor}`);
  expect(next).toMatchObject({
    data: [{ position: first + 20_101 }],
    has_more: false,
    after: first + 20_101,
  });
});

test.each([
  ['the log', ''],
  ['a type', '&types=log.consumer_resumed'],
  ['an account', '&account=large:1'],
])('a page of %s ends when large events have come to some megabytes', async (_of, filter) => {
  const tenant = await aTenant();
  const api = server.client(tenant.api_key);
  const account = await anAccount(api, { code: 'large:1' });
  const { after: first } = await read(api);
  await asSuperuser(
    z.unknown(),
    `select max(appended.position)
     from generate_series(1, 60) number, log.append_event(
       $1, gen_random_uuid(), 'log.consumer_resumed', $2, json_build_object('consumer', repeat('x', 200000 + number)), $1, 'req', null
     ) appended`,
    [tenant.id, decodeId('account', account.id, '#')],
  );
  const seen: number[] = [];
  const lengths: number[] = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const answer: Answer = await api.get(`/v1/events?limit=200&after=${first}${filter}${cursor}`);
    const page = answer.as(PageSchema);
    seen.push(...positions(page));
    lengths.push(JSON.stringify(answer.body).length);
    cursor = page.next_cursor === null ? null : `&cursor=${page.next_cursor}`;
  }
  expect(seen).toEqual(Array.from({ length: 60 }, (_, index) => first + 1 + index));
  expect(Math.max(...lengths)).toBeLessThan(6_000_000);
});

test('an account’s events are its own and those of its entries', async () => {
  const api = await aClient();
  for (const code of ['e:a', 'e:b', 'e:c']) await anAccount(api, { code });
  const first = await aTransaction(api, { debit: 'e:a', credit: 'e:b' });
  await aTransaction(api, { debit: 'e:b', credit: 'e:c' });
  const last = await aTransaction(api, { debit: 'e:c', credit: 'e:a' });
  await api.patch('/v1/accounts/e:a', { name: 'A' });
  const page = await read(api, '?account=e:a');
  expect(page.data.map((event) => event.type)).toEqual([
    'ledger.account_created',
    'ledger.transaction_posted',
    'ledger.transaction_posted',
    'ledger.account_updated',
  ]);
  expect(page.data.slice(1, 3).map((event) => event.subject)).toEqual([first.id, last.id]);
  const paged: number[] = [];
  let query: string | null = '?account=e:a&limit=1';
  while (query !== null) {
    const next: z.infer<typeof PageSchema> = await read(api, query);
    paged.push(...positions(next));
    query = next.next_cursor === null ? null : `?account=e:a&limit=1&cursor=${next.next_cursor}`;
  }
  expect(paged).toEqual(positions(page));
  const posted = await read(api, '?account=e:a&types=ledger.transaction_posted&limit=2');
  expect(posted.data.map((event) => event.subject)).toEqual([first.id]);
  expect(posted.has_more).toBe(true);
});

test('the data of an event are the bytes that were recorded', async () => {
  const api = await aClient();
  for (const code of ['b:a', 'b:b']) await anAccount(api, { code });
  const metadata = { '10': 'ten', '9': 'nine', é: '😀' };
  const posted = await aTransaction(api, { debit: 'b:a', credit: 'b:b', metadata });
  const answer = await api.get(`/v1/events?types=ledger.transaction_posted`);
  const [event] = answer.as(PageSchema).data;
  expect(event?.subject).toBe(posted.id);
  expect(event?.data).toMatchObject({ metadata, entries: [{ amount: '100' }, { amount: '100' }] });
});

test.each([
  ['?after=-1', '#/query/after invalid_format'],
  ['?after=1.5', '#/query/after invalid_format'],
  ['?after=9999999999999999', '#/query/after invalid_format'],
  ['?types=ledger.money_printed', '#/query/types event_type_unknown'],
  ['?types=', '#/query/types too_small'],
])('the query %s is refused', async (query, wanted) => {
  expect(refusal(await (await aClient()).get(`/v1/events${query}`))).toBe(`400 invalid_request ${wanted}`);
});

test('a position that the log has not reached is refused, the head of the log is an empty page', async () => {
  const api = await aClient();
  await anAccount(api, { code: 'p:a' });
  const { after: head } = await read(api);
  expect(await read(api, `?after=${head}`)).toMatchObject({ data: [], has_more: false, after: head });
  for (const query of [
    `?after=${head + 1}`,
    '?after=99999999&types=ledger.account_created',
    '?after=99999999&account=p:a',
  ]) {
    expect(refusal(await api.get(`/v1/events${query}`))).toBe(
      '400 invalid_request #/query/after position_ahead',
    );
  }
});

test('a cursor of a log that has been restored from an older copy is refused', async () => {
  const [longer, restored] = [await aClient(), await aClient()];
  for (const code of ['p:a', 'p:b', 'p:c', 'p:d']) await anAccount(longer, { code });
  const { next_cursor } = await read(longer, '?limit=4');
  expect(refusal(await restored.get(`/v1/events?cursor=${next_cursor}`))).toBe(
    '400 invalid_request #/query/cursor position_ahead',
  );
});

test('types that touch no account are refused with an account, as a stream refuses them', async () => {
  const api = await aClient();
  await anAccount(api, { code: 'p:a' });
  expect(refusal(await api.get('/v1/events?types=access.key_created&account=p:a'))).toBe(
    '400 invalid_request #/query/types filter_matches_nothing',
  );
  const some = await read(api, '?types=access.key_created,ledger.account_created&account=p:a');
  expect(some.data.map(({ type }) => type)).toEqual(['ledger.account_created']);
});

test('an account that does not exist, or is another tenant’s, is the same 404', async () => {
  const [one, two] = [await aClient(), await aClient()];
  const account = await anAccount(one, { code: 'mine:1' });
  for (const reference of [account.id, 'mine:1', 'none']) {
    expect(refusal(await two.get(`/v1/events?account=${reference}`))).toBe('404 not_found');
  }
});

test('the platform reads the log of tenants that come and go, a tenant only its own', async () => {
  const platform = server.client(await aPlatformKey());
  const tenant = await aTenant();
  const page = (await platform.get('/v1/events?limit=200')).as(PageSchema);
  expect(page.data.map((event) => event.type)).toContain('tenants.tenant_created');
  const own = await read(server.client(tenant.api_key));
  expect(own.data.every((event) => !event.type.startsWith('tenants.tenant_created'))).toBe(true);
});

test('an event of a type that this version does not know is passed on as it is, about a bare UUID', async () => {
  const tenant = await aTenant();
  const api = server.client(tenant.api_key);
  const account = await anAccount(api);
  const before = (await read(api)).after;
  const subject_id = newUuid();
  await asSuperuser(
    z.unknown(),
    `select from log.append_event($1, $2, 'ledger.transaction_imagined', $3, '{"entries":7}', $1, 'req_later', null)`,
    [tenant.id, newUuid(), subject_id],
  );
  expect((await read(api, `?after=${before}`)).data).toEqual([
    {
      id: expect.stringMatching(/^evt_/),
      position: before + 1,
      type: 'ledger.transaction_imagined',
      subject: subject_id,
      occurred_at: expect.any(String),
      recorded_at: expect.any(String),
      actor_id: expect.stringMatching(/^key_/),
      request_id: 'req_later',
      data: { entries: 7 },
    },
  ]);
  expect((await read(api, `?after=${before}&account=${account.id}`)).data).toEqual([]);
});
