// GET /v1/proof: everything recounted; what does not add up stops postings until a recount holds.
import { expect, test } from 'vitest';
import { z } from 'zod';
import { platform_tenant_id } from '../../../src/db.ts';
import { encodeId } from '../../../src/id.ts';
import { randomBooks } from '../../modules/ledger/random_books.ts';
import type { Client } from '../../support/client.ts';
import { asSuperuser } from '../../support/database.ts';
import { aKey, anAccount, aPlatformKey, aTenant, aTransaction } from '../../support/factories.ts';
import { startServer } from '../../support/server.ts';
import { waitFor } from '../../support/wait.ts';

const server = await startServer({ LOG_LEVEL: 'silent' });

const PositionsSchema = z.looseObject({ position: z.number(), balances_position: z.number() });

test('an empty ledger is proved', async () => {
  const api = server.client((await aTenant()).api_key);
  expect((await api.get('/v1/proof')).body).toMatchObject({
    ok: true,
    entry_count: 0,
    currencies: [],
    difference_count: 0,
    differences: [],
    halted: false,
    chain: { ok: true, finding_count: 0, findings: [] },
  });
});

test('a proof says whether the log is as it was sealed, and up to which position', async () => {
  const tenant = await aTenant();
  const api = server.client(tenant.api_key);
  await anAccount(api, { code: 'cash', type: 'asset' });
  await anAccount(api, { code: 'alice' });
  const { id, position } = await aTransaction(api, { debit: 'cash', credit: 'alice' });
  expect((await api.get(`/v1/transactions/${id}/receipt`)).status).toBe(200);
  expect((await api.get('/v1/proof')).body).toMatchObject({
    ok: true,
    position,
    chain: { ok: true, position },
  });
  await asSuperuser(
    z.unknown(),
    "update log.event set request_id = 'req_other' where tenant_id = $1 and position = $2",
    [tenant.id, position],
  );
  expect((await api.get('/v1/proof')).body).toMatchObject({
    ok: false,
    halted: false,
    difference_count: 0,
    chain: { ok: false, findings: [{ position, up_to_position: position }] },
  });
});

test('a ledger is proved while it is being written, per currency and up to a position', async () => {
  const tenant = await aTenant();
  const api = server.client(tenant.api_key);
  await anAccount(api, { code: 'usd', type: 'asset', currency: 'USD' });
  await anAccount(api, { code: 'usd:owed', currency: 'USD' });
  const writing = randomBooks(api, 3, 800);
  await aTransaction(api, { debit: 'usd', credit: 'usd:owed', amount: '42' });
  const ProofSchema = z.looseObject({
    ok: z.boolean(),
    position: z.number(),
    currencies: z.array(z.looseObject({ currency: z.string(), debits: z.string(), credits: z.string() })),
  });
  for (let count = 0; count < 10; count += 1) {
    const proof = (await api.get('/v1/proof')).as(ProofSchema);
    expect(proof).toMatchObject({ ok: true, difference_count: 0 });
    for (const { debits, credits } of proof.currencies) expect(debits).toBe(credits);
  }
  await writing;
  const { currencies } = (await api.get('/v1/proof')).as(ProofSchema);
  expect(currencies.find(({ currency }) => currency === 'USD')).toMatchObject({
    scale: 2,
    debits: '42',
    credits: '42',
  });
});

test('money that does not add up halts the postings of its tenant only, until a recount holds', async () => {
  const tenant = await aTenant();
  const [api, other] = [server.client(tenant.api_key), server.client((await aTenant()).api_key)];
  for (const each of [api, other]) {
    await anAccount(each, { code: 'cash', type: 'asset' });
    await anAccount(each, { code: 'alice' });
    await aTransaction(each, { debit: 'cash', credit: 'alice', amount: '100' });
  }
  // A projection that had still to come would carry what is tampered with.
  await waitFor('the balances are carried forward', async () => {
    const { position, balances_position } = (await api.get('/v1/proof')).as(PositionsSchema);
    return position === balances_position;
  });
  const tamper = (change: string) =>
    asSuperuser(
      z.unknown(),
      `update ledger.entry set amount = amount ${change} where tenant_id = $1 and direction = 'debit'`,
      [tenant.id],
    );
  await tamper('+ 1');
  expect((await api.get('/v1/proof')).body).toMatchObject({
    ok: false,
    halted: true,
    differences: expect.arrayContaining([
      {
        check: 'entries',
        account_id: null,
        what: 'debits equal credits in EUR',
        expected: '101',
        found: '100',
      },
    ]),
  });
  const posting = {
    entries: [
      { account: 'cash', direction: 'debit', amount: '1' },
      { account: 'alice', direction: 'credit', amount: '1' },
    ],
  };
  expect((await api.post('/v1/transactions', posting)).body).toMatchObject({
    code: 'ledger_halted',
    status: 503,
  });
  expect((await other.post('/v1/transactions', posting)).status).toBe(201);
  expect((await api.post('/v1/proof/resumption')).body).toMatchObject({
    code: 'ledger_not_proved',
    status: 409,
  });

  await tamper('- 1');
  const writer = server.client((await aKey(tenant.id, 'integrator_write')).api_key);
  expect((await writer.post('/v1/proof/resumption')).status).toBe(403);
  expect((await api.post('/v1/proof/resumption')).body).toMatchObject({ ok: true, halted: false });
  expect((await api.post('/v1/transactions', posting)).status).toBe(201);
  expect((await api.post('/v1/proof/resumption')).body).toMatchObject({
    code: 'ledger_not_halted',
    status: 409,
  });
  const EventsSchema = z.object({ data: z.array(z.looseObject({ type: z.string() })) });
  const events = await api.get('/v1/events?types=ledger.postings_halted,ledger.postings_resumed');
  expect(events.as(EventsSchema).data.map(({ type }) => type)).toEqual([
    'ledger.postings_halted',
    'ledger.postings_resumed',
  ]);
});

test('a projection that only answers questions about the past halts nothing', async () => {
  const tenant = await aTenant();
  const api = server.client(tenant.api_key);
  await anAccount(api, { code: 'cash', type: 'asset' });
  await anAccount(api, { code: 'alice' });
  await aTransaction(api, { debit: 'cash', credit: 'alice', amount: '100', status: 'pending' });
  await waitFor('the hold is projected', async () => {
    const { position, balances_position } = (await api.get('/v1/proof')).as(PositionsSchema);
    return position === balances_position;
  });
  await asSuperuser(
    z.unknown(),
    `insert into projection.open_holds_v (tenant_id, version, transaction_id, position)
     values ($1, 1, '00000000-0000-7000-8000-000000000009', 999)`,
    [tenant.id],
  );
  expect((await api.get('/v1/proof')).body).toMatchObject({
    ok: false,
    halted: false,
    difference_count: 1,
    differences: [{ check: 'open_holds_v' }],
  });
});

const ChainSchema = z.looseObject({
  ok: z.boolean(),
  position: z.number(),
  head_position: z.number(),
  findings: z.array(z.looseObject({ position: z.number() })),
});

/** With a key of the platform. */
async function platformChain(api: Client) {
  return (await api.get('/v1/proof')).as(z.looseObject({ chain: ChainSchema })).chain;
}

test("the platform's own log is proved by its keys, and one of its events that somebody has changed is named", async () => {
  const created = await aTenant();
  const api = server.client(await aPlatformKey());
  await waitFor('all of it is sealed', async () => {
    const { position, head_position } = await platformChain(api);
    return position === head_position;
  });
  expect((await api.get('/v1/proof')).body).toMatchObject({ ok: true, entry_count: 0, currencies: [] });
  const { block } = (await api.get('/v1/checkpoint')).as(
    z.looseObject({ block: z.looseObject({ tenant_id: z.string(), number: z.number() }) }),
  );
  expect(block.tenant_id).toBe(encodeId('tenant', platform_tenant_id));
  expect((await api.get(`/v1/blocks/${block.number}`)).body).toEqual(block);

  const change = (data: string) =>
    asSuperuser(
      z.object({ position: z.number() }),
      `update log.event set data = ${data} where tenant_id = $1 and subject_id = $2 returning position::integer`,
      [platform_tenant_id, created.id],
    );
  const [changed] = await change(`replace(data::text, 'Test tenant', 'Text tenant')::json`);
  expect(await platformChain(api)).toMatchObject({ ok: false, findings: [{ position: changed?.position }] });
  expect((await api.get('/v1/proof/chain')).body).toMatchObject({ ok: false });
  await change(`replace(data::text, 'Text tenant', 'Test tenant')::json`);
  expect(await platformChain(api)).toMatchObject({ ok: true });
});

test("an event out of the order of time in the platform's own log is found, and halts nothing: it has no postings", async () => {
  const [{ id }] = [await aTenant(), await aTenant()];
  const api = server.client(await aPlatformKey());
  await waitFor('all of it is sealed', async () => {
    const { position, head_position } = await platformChain(api);
    return position === head_position;
  });
  const move = (interval: string) =>
    asSuperuser(
      z.unknown(),
      'update log.event set recorded_at = recorded_at + $3::interval where tenant_id = $1 and subject_id = $2 returning 1',
      [platform_tenant_id, id, interval],
    );
  expect(await move('1 hour')).toHaveLength(1);
  expect((await api.get('/v1/proof')).body).toMatchObject({
    ok: false,
    halted: false,
    differences: [{ check: 'log' }],
  });
  await move('-1 hour');
  expect((await api.get('/v1/proof')).body).toMatchObject({ ok: true, halted: false });
});
