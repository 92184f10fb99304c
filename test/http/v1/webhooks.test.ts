// Webhooks from the outside: endpoints over HTTP, a real receiver, and signatures checked by the official library.
import { Webhook } from 'standardwebhooks';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { encodeId, newUuid } from '../../../src/id.ts';
import {
  aClient,
  anEndpoint,
  CreatedSchema,
  deliveriesOf,
  EndpointSchema,
  EventSchema,
  EventsSchema,
  ProblemSchema,
  posted_only,
  twoAccounts,
} from '../../modules/webhooks/hooks.ts';
import { aReceiver, headersOf } from '../../modules/webhooks/receiver.ts';
import { asSuperuser } from '../../support/database.ts';
import { aKey, aTenant, aTransaction } from '../../support/factories.ts';
import { startServer } from '../../support/server.ts';
import { waitFor } from '../../support/wait.ts';

const server = await startServer();

test('each event after the endpoint is delivered once, as it stands in the log, signed for the official library', async () => {
  const api = await aClient(server);
  const receiver = await aReceiver();
  const accounts = await twoAccounts(api);
  const { secret } = await anEndpoint(api, receiver);
  for (let count = 0; count < 5; count += 1) await aTransaction(api, accounts);
  await waitFor('five calls', () => receiver.received.length === 5);
  const { data: events } = (await api.get('/v1/events?after=4')).as(EventsSchema);
  const verifier = new Webhook(z.string().parse(secret));
  const payloads = receiver.received.map((call) =>
    z
      .looseObject({ ...EventSchema.shape, timestamp: z.string() })
      .parse(verifier.verify(call.text, headersOf(call))),
  );
  const by_position = payloads.toSorted((a, b) => a.position - b.position);
  expect(by_position.map(({ timestamp: _, ...event }) => event)).toEqual(events);
  expect(receiver.ids().toSorted()).toEqual(events.map(({ id }) => id).toSorted());
  const [call] = receiver.received;
  if (call === undefined) throw new Error('nothing was received');
  expect(() => verifier.verify(`${call.text} `, headersOf(call))).toThrow('No matching signature');
  expect(call.headers).toMatchObject({
    'content-type': 'application/json',
    'user-agent': 'Lattice-Webhooks/1',
  });
});

test('an endpoint gets the types that it asked for, and no type that does not exist', async () => {
  const api = await aClient(server);
  const receiver = await aReceiver();
  const { id } = await anEndpoint(api, receiver, posted_only);
  const accounts = await twoAccounts(api);
  const { position } = await aTransaction(api, accounts);
  await waitFor('one call', () => receiver.received.length === 1);
  expect((await deliveriesOf(api, id)).map((each) => [each.position, each.type])).toEqual([
    [position, 'ledger.transaction_posted'],
  ]);
  const wrong = await api.post('/v1/webhook_endpoints', {
    url: receiver.url,
    types: ['ledger.transaction_posted', 'ledger.transaction_posed'],
  });
  expect([wrong.status, ProblemSchema.parse(wrong.body).errors]).toEqual([
    400,
    [{ pointer: '#/types/1', code: 'event_type_unknown', detail: 'there is no such event type' }],
  ]);
});

test('a CloudEvents endpoint gets CloudEvents 1.0 in structured mode', async () => {
  const api = await aClient(server);
  const receiver = await aReceiver();
  const accounts = await twoAccounts(api);
  const { secret } = await anEndpoint(api, receiver, { format: 'cloudevents' });
  const { position } = await aTransaction(api, accounts);
  const call = await waitFor('a call', () => receiver.received[0]);
  const {
    data: [event],
  } = (await api.get(`/v1/events?after=${position - 1}`)).as(EventsSchema);
  expect(call.headers['content-type']).toBe('application/cloudevents+json; charset=utf-8');
  expect(new Webhook(z.string().parse(secret)).verify(call.text, headersOf(call))).toEqual({
    specversion: '1.0',
    id: event?.id,
    source: expect.stringMatching(/^\/tenants\/ten_[0-9a-z]{26}$/),
    type: 'ledger.transaction_posted',
    subject: event?.subject,
    time: event?.occurred_at,
    sequence: String(position).padStart(16, '0'),
    datacontenttype: 'application/json',
    data: event?.data,
  });
});

test('a tenant has at most a thousand enabled endpoints', async () => {
  const api = await aClient(server);
  const receiver = await aReceiver();
  const { id } = await anEndpoint(api, receiver);
  await asSuperuser(
    z.unknown(),
    `insert into webhooks.endpoint (tenant_id, id, url, ordering, format, from_position, status, created_at, updated_at)
     select $1, gen_random_uuid(), $2, 'parallel', 'event', 9007199254740991, 'enabled', now(), now() from generate_series(1, 999)`,
    [api.tenant_id, receiver.url],
  );
  const refused = await api.post('/v1/webhook_endpoints', { url: receiver.url });
  expect([refused.status, ProblemSchema.parse(refused.body).code]).toEqual([
    409,
    'webhook_endpoints_exhausted',
  ]);
  await api.post(`/v1/webhook_endpoints/${id}/disablement`, {});
  await anEndpoint(api, receiver);
  const again = await api.post(`/v1/webhook_endpoints/${id}/enablement`, {});
  expect([again.status, ProblemSchema.parse(again.body).code]).toEqual([409, 'webhook_endpoints_exhausted']);
  expect((await api.get(`/v1/webhook_endpoints/${id}`)).as(EndpointSchema).status).toBe('disabled');
});

test('a secret is shown once, to the key that asked, and is nowhere in the database', async () => {
  const tenant = await aTenant();
  const api = server.client(tenant.api_key);
  const receiver = await aReceiver();
  const body = { url: receiver.url, description: 'canary-description' };
  const first = await api.post('/v1/webhook_endpoints', body, { key: 'hook-once' });
  const { id, secret } = first.as(CreatedSchema);
  const again = await api.post('/v1/webhook_endpoints', body, { key: 'hook-once' });
  expect(again.text).toBe(first.text);
  const other = server.client((await aKey(tenant.id, 'owner')).api_key);
  const redacted = await other.post('/v1/webhook_endpoints', body, { key: 'hook-once' });
  expect(redacted.body).toEqual({ ...first.as(CreatedSchema), secret: null });
  expect((await api.get(`/v1/webhook_endpoints/${id}`)).text).not.toContain('secret');
  const NameSchema = z.object({ name: z.string() });
  const tables = await asSuperuser(
    NameSchema,
    `select format('%I.%I', schemaname, tablename) as name from pg_tables
    where schemaname not in ('pg_catalog', 'information_schema')`,
  );
  const search = (text: string) =>
    asSuperuser(
      NameSchema,
      tables
        .map(
          ({ name }) =>
            `select '${name}' as name where exists (select from ${name} as row where strpos(row::text, $1) > 0)`,
        )
        .join(' union all '),
      [text],
    );
  expect((await search('canary-description')).length).toBeGreaterThan(0);
  const bare = z.string().parse(secret).replace('whsec_', '');
  expect(await search(bare)).toEqual([]);
  expect(await search(Buffer.from(bare, 'base64').toString('hex'))).toEqual([]);
});

test('a URL that may not be called is refused with the reason', async () => {
  const api = await aClient(server);
  const outcomes: Record<string, string> = {};
  const urls = [
    'not a url',
    'ftp://example.com/',
    '/hooks',
    'https://user:secret@example.com/',
    'https://example.com/#here',
    'https://10.0.0.1/',
    'https://192.168.1.1/hook',
    'https://169.254.169.254/latest/meta-data/',
    'https://[::1]/',
    'https://[::ffff:10.0.0.1]/',
    'https://[64:ff9b::a00:1]/',
    'https://[fd00:ec2::254]/',
    'https://0x0a000001/',
    'https://2130706434/',
    'https://localhost/',
    'https://postgres.internal/',
    'https://router/',
    'https://example.com:5432/',
    'https://example.com:22/',
    'https://8.8.8.8/',
  ];
  for (const url of urls) {
    const answer = await api.post('/v1/webhook_endpoints', { url });
    const [error] = answer.status === 201 ? [] : (ProblemSchema.parse(answer.body).errors ?? []);
    outcomes[url] = error?.code ?? String(answer.status);
  }
  expect(outcomes).toMatchInlineSnapshot(`
    {
      "/hooks": "url_malformed",
      "ftp://example.com/": "url_malformed",
      "https://0x0a000001/": "url_private",
      "https://10.0.0.1/": "url_private",
      "https://169.254.169.254/latest/meta-data/": "url_private",
      "https://192.168.1.1/hook": "url_private",
      "https://2130706434/": "url_private",
      "https://8.8.8.8/": "201",
      "https://[64:ff9b::a00:1]/": "url_private",
      "https://[::1]/": "url_private",
      "https://[::ffff:10.0.0.1]/": "url_private",
      "https://[fd00:ec2::254]/": "url_private",
      "https://example.com/#here": "url_malformed",
      "https://example.com:22/": "url_port_refused",
      "https://example.com:5432/": "201",
      "https://localhost/": "url_private",
      "https://postgres.internal/": "url_private",
      "https://router/": "url_private",
      "https://user:secret@example.com/": "url_malformed",
      "not a url": "url_malformed",
    }
  `);
});

test('a change is refused when the endpoint has changed since, and its URL and types are checked again', async () => {
  const api = await aClient(server);
  const receiver = await aReceiver();
  const { id } = await anEndpoint(api, receiver);
  const path = `/v1/webhook_endpoints/${id}`;
  const etag = String((await api.get(path)).headers.get('etag'));
  const changed = await api.patch(path, { description: 'Till' }, { headers: { 'If-Match': etag } });
  expect(changed.body).toMatchObject({ description: 'Till', url: `${receiver.url}/hook`, types: null });
  const stale = await api.patch(path, { description: 'Shop' }, { headers: { 'If-Match': etag } });
  expect(stale.status).toBe(412);
  expect((await api.patch(path, { url: 'https://10.0.0.1/' })).status).toBe(400);
  expect((await api.patch(path, { types: ['none.such'] })).status).toBe(400);
  expect((await api.get(path)).body).toEqual(changed.body);
  const disabled = await api.post(`${path}/disablement`);
  expect(disabled.as(EndpointSchema)).toMatchObject({ status: 'disabled', disabled_reason: 'asked' });
  const twice = await api.post(`${path}/disablement`);
  expect(ProblemSchema.parse(twice.body).code).toBe('webhook_not_enabled');
});

test('an event of a type that this version does not know is delivered as it is, and holds up nothing', async () => {
  const api = await aClient(server);
  const receiver = await aReceiver();
  const accounts = await twoAccounts(api);
  await anEndpoint(api, receiver, { ordering: 'ordered' });
  await anEndpoint(api, receiver, { format: 'cloudevents' });
  const [event_id, subject_id] = [newUuid(), newUuid()];
  await asSuperuser(
    z.unknown(),
    `select from log.append_event($1, $2, 'ledger.transaction_imagined', $3, '{"entries":7}', $1, 'req_later', null)`,
    [api.tenant_id, event_id, subject_id],
  );
  const posted = await aTransaction(api, accounts);
  await waitFor('both are called about what follows', () => {
    const about = receiver.received.filter(({ text }) => text.includes(posted.id));
    return about.length === 2;
  });
  const imagined = receiver.received
    .filter(({ headers }) => headers['webhook-id'] === encodeId('event', event_id))
    .map(({ text }) => JSON.parse(text));
  expect(imagined).toEqual(
    expect.arrayContaining([
      expect.objectContaining({
        type: 'ledger.transaction_imagined',
        subject: subject_id,
        position: expect.any(Number),
      }),
      expect.objectContaining({
        type: 'ledger.transaction_imagined',
        subject: subject_id,
        specversion: '1.0',
      }),
    ]),
  );
});

test('a tenant without endpoints is passed over, and its first one, created elsewhere, misses nothing', async () => {
  const elsewhere = await startServer({ CONSUMERS: 'off' });
  const api = await aClient(elsewhere);
  const receiver = await aReceiver();
  const accounts = await twoAccounts(api);
  await aTransaction(api, accounts);
  const ConsumersSchema = z.object({
    data: z.array(z.looseObject({ name: z.string(), lag_events: z.number() })),
  });
  await waitFor('it is passed over', async () => {
    const { data } = (await api.get('/v1/consumers')).as(ConsumersSchema);
    return data.find(({ name }) => name === 'webhooks')?.lag_events === 0;
  });
  await anEndpoint(api, receiver, posted_only);
  const posted = [await aTransaction(api, accounts), await aTransaction(api, accounts)];
  await waitFor('it is called', () => receiver.received.length >= 2);
  const texts = receiver.received.map(({ text }) => text).sort();
  expect(texts.map((text) => posted.findIndex(({ id }) => text.includes(id))).sort()).toEqual([0, 1]);
});
