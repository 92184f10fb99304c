// Holds: money that is promised, captured in parts, given back, or free again at an instant.
import { beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { Client } from '../../support/client.ts';
import { anAccount, aTenant, aTransaction } from '../../support/factories.ts';
import { startServer, type TestServer } from '../../support/server.ts';
import { waitFor } from '../../support/wait.ts';

const TransactionSchema = z.looseObject({ id: z.string(), status: z.string(), position: z.number() });
const BalanceSchema = z.looseObject({
  posted: z.looseObject({ balance: z.string() }),
  pending: z.object({ out: z.string(), in: z.string() }),
  available: z.string(),
});

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});

/** Alice has 1,000 and may not go below zero. */
async function books() {
  const api = server.client((await aTenant()).api_key);
  await anAccount(api, { code: 'cash', type: 'asset' });
  await anAccount(api, { code: 'shop' });
  await anAccount(api, { code: 'alice', limits: { available_min: '0' } });
  await aTransaction(api, { debit: 'cash', credit: 'alice', amount: '1000' });
  return { api };
}

const entries = (amount: string) => [
  { account: 'alice', direction: 'debit', amount },
  { account: 'shop', direction: 'credit', amount },
];

async function hold(api: Client, amount: string, more: Record<string, unknown> = {}) {
  const answer = await api.post('/v1/transactions', { entries: entries(amount), status: 'pending', ...more });
  return answer.as(TransactionSchema);
}

async function balance(api: Client, account: string) {
  const { posted, pending, available } = (await api.get(`/v1/accounts/${account}/balance`)).as(BalanceSchema);
  return { posted: posted.balance, out: pending.out, in: pending.in, available };
}

const read = async (api: Client, id: string) => (await api.get(`/v1/transactions/${id}`)).body;

describe('a hold', () => {
  test('takes from what is available, not from what is posted', async () => {
    const { api } = await books();
    await hold(api, '400');
    expect(await balance(api, 'alice')).toEqual({ posted: '1000', out: '400', in: '0', available: '600' });
    expect(await balance(api, 'shop')).toEqual({ posted: '0', out: '0', in: '400', available: '0' });
    const refused = await api.post('/v1/transactions', { entries: entries('601') });
    expect(refused.body).toMatchObject({ code: 'insufficient_funds', available: '600', required: '601' });
  });

  test('is captured whole without a body', async () => {
    const { api } = await books();
    const { id } = await hold(api, '400');
    await api.post(`/v1/transactions/${id}/capture`, { amount: '150' });
    const key = 'whole';
    const rest = await api.post(`/v1/transactions/${id}/capture`, undefined, { key });
    expect(rest).toMatchObject({ status: 201, body: { status: 'posted', captures: id } });
    expect(await balance(api, 'alice')).toEqual({ posted: '600', out: '0', in: '0', available: '600' });
    expect(await read(api, id)).toMatchObject({ status: 'posted', captured: '400', remaining: '0' });
    expect((await api.post(`/v1/transactions/${id}/capture`, undefined, { key })).text).toBe(rest.text);
  });

  test('is captured in parts until nothing is left', async () => {
    const { api } = await books();
    const { id } = await hold(api, '400');
    const first = await api.post(`/v1/transactions/${id}/capture`, { amount: '150' });
    expect(first.status).toBe(201);
    expect(first.body).toMatchObject({ status: 'posted', captures: id });
    expect(await balance(api, 'alice')).toEqual({ posted: '850', out: '250', in: '0', available: '600' });
    expect(await read(api, id)).toMatchObject({ status: 'pending', captured: '150', remaining: '250' });
    const too_much = await api.post(`/v1/transactions/${id}/capture`, { amount: '251' });
    expect(too_much.body).toMatchObject({ code: 'capture_exceeds_hold', remaining: '250' });
    const second = (await api.post(`/v1/transactions/${id}/capture`, {})).as(TransactionSchema);
    expect(await balance(api, 'alice')).toEqual({ posted: '600', out: '0', in: '0', available: '600' });
    expect(await read(api, id)).toMatchObject({
      status: 'posted',
      captured: '400',
      remaining: '0',
      captured_by: [first.as(TransactionSchema).id, second.id],
    });
    expect((await api.post(`/v1/transactions/${id}/capture`, {})).body).toMatchObject({
      code: 'transaction_not_pending',
      status: 409,
    });
  });

  test('gives back the rest of a final capture', async () => {
    const { api } = await books();
    const { id } = await hold(api, '400');
    await api.post(`/v1/transactions/${id}/capture`, { amount: '100', final: true });
    expect(await balance(api, 'alice')).toEqual({ posted: '900', out: '0', in: '0', available: '900' });
    expect(await read(api, id)).toMatchObject({ status: 'posted', captured: '100', remaining: '0' });
  });

  test('is said to have a rest that was given back, in the answer to a final capture and in the log', async () => {
    const { api } = await books();
    const { id } = await hold(api, '400');
    const capture = (body: unknown) => api.post(`/v1/transactions/${id}/capture`, body);
    const part = (await capture({ amount: '30' })).as(TransactionSchema);
    expect(part).not.toHaveProperty('released');
    const last = (await capture({ amount: '100', final: true })).as(TransactionSchema);
    const rest = entries('270').map(({ account, ...entry }) => ({ account_code: account, ...entry }));
    expect(last).toMatchObject({ captures: id, released: rest });
    expect(await read(api, last.id)).toMatchObject({ released: rest });
    const log = await api.get(`/v1/events?after=${last.position - 1}`);
    expect(log.body).toMatchObject({ data: [{ subject: last.id, data: { captures: id, released: rest } }] });

    const taken = (await hold(api, '400')).id;
    const all = await api.post(`/v1/transactions/${taken}/capture`, { final: true });
    expect(all.as(TransactionSchema)).not.toHaveProperty('released');
  });

  test('with several entries is captured by entries, within what each has left', async () => {
    const { api } = await books();
    await anAccount(api, { code: 'fees', type: 'revenue' });
    const several = [
      { account: 'alice', direction: 'debit', amount: '300' },
      { account: 'shop', direction: 'credit', amount: '270' },
      { account: 'fees', direction: 'credit', amount: '30' },
    ];
    const held = (await api.post('/v1/transactions', { entries: several, status: 'pending' })).as(
      TransactionSchema,
    );
    const path = `/v1/transactions/${held.id}/capture`;
    expect((await api.post(path, { amount: '100' })).body).toMatchObject({ code: 'entries_required' });
    expect((await api.post(path, { amount: '301' })).body).toMatchObject({ code: 'capture_exceeds_hold' });
    const unbalanced = several.map((entry) => ({ ...entry, amount: '10' }));
    expect((await api.post(path, { entries: unbalanced })).body).toMatchObject({
      code: 'entries_unbalanced',
    });
    const beyond = [
      { account: 'alice', direction: 'debit', amount: '31' },
      { account: 'fees', direction: 'credit', amount: '31' },
    ];
    expect((await api.post(path, { entries: beyond })).body).toMatchObject({
      code: 'capture_exceeds_hold',
      errors: [{ pointer: '#/entries/1/amount' }],
    });
    const part = [
      { account: 'alice', direction: 'debit', amount: '100' },
      { account: 'shop', direction: 'credit', amount: '90' },
      { account: 'fees', direction: 'credit', amount: '10' },
    ];
    expect((await api.post(path, { entries: part })).status).toBe(201);
    expect(await balance(api, 'shop')).toEqual({ posted: '90', out: '0', in: '180', available: '90' });
    expect((await api.post(path, {})).status).toBe(201);
    expect(await balance(api, 'fees')).toEqual({ posted: '30', out: '0', in: '0', available: '30' });
  });

  test('that gives its rest back with a capture lists that under the accounts of its entries alone', async () => {
    const { api } = await books();
    await anAccount(api, { code: 'fees', type: 'revenue' });
    const held = await api.post('/v1/transactions', {
      entries: [
        ...entries('300'),
        { ...entries('30')[0], account: 'cash' },
        { ...entries('30')[1], account: 'fees' },
      ],
      status: 'pending',
    });
    const { id } = held.as(TransactionSchema);
    const capture = await api.post(`/v1/transactions/${id}/capture`, {
      entries: entries('100'),
      final: true,
    });
    const ids = async (query: string) =>
      (await api.get(`/v1/transactions?${query}`))
        .as(z.object({ data: z.array(TransactionSchema) }))
        .data.map((each) => each.id);
    const listed = [capture.as(TransactionSchema).id, id];
    expect(await ids('account=shop')).toEqual(listed);
    expect(await ids('account_prefix=sho')).toEqual(listed);
    expect(await ids('account=fees')).toEqual([id]);
    expect(await ids('account_prefix=fee')).toEqual([id]);
  });

  test('is voided once, also on a closed account', async () => {
    const { api } = await books();
    const { id } = await hold(api, '400');
    await api.post('/v1/accounts/shop/closure');
    expect((await api.post(`/v1/transactions/${id}/capture`, {})).body).toMatchObject({
      code: 'account_closed',
    });
    const voided = await api.post(`/v1/transactions/${id}/void`, {}, { key: 'void' });
    expect(voided.status).toBe(200);
    expect(voided.body).toMatchObject({ id, status: 'voided', captured: '0', remaining: '0' });
    expect((await api.post(`/v1/transactions/${id}/void`, {}, { key: 'void' })).text).toBe(voided.text);
    expect(await read(api, id)).toEqual(voided.body);
    expect((await api.post(`/v1/transactions/${id}/void`, {})).body).toMatchObject({
      code: 'transaction_not_pending',
    });
    expect(await balance(api, 'alice')).toEqual({ posted: '1000', out: '0', in: '0', available: '1000' });
  });

  test('ends by itself at its instant, for readers and writers alike', async () => {
    const { api } = await books();
    const { id } = await hold(api, '900', { expires_in_seconds: 3 });
    expect((await api.post('/v1/transactions', { entries: entries('200') })).body).toMatchObject({
      code: 'insufficient_funds',
    });
    await waitFor('the hold to end', async () => (await balance(api, 'alice')).out === '0');
    expect(await read(api, id)).toMatchObject({ status: 'expired', remaining: '0' });
    expect((await api.post(`/v1/transactions/${id}/capture`, {})).body).toMatchObject({
      code: 'transaction_not_pending',
    });
    expect((await api.post(`/v1/transactions/${id}/void`, {})).body).toMatchObject({
      code: 'transaction_not_pending',
    });
    expect((await api.post('/v1/transactions', { entries: entries('1000') })).status).toBe(201);
  });

  test('captured by twenty clients at once is captured within what it holds', async () => {
    const { api } = await books();
    const { id } = await hold(api, '400');
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => api.post(`/v1/transactions/${id}/capture`, { amount: '50' })),
    );
    expect(answers.filter((answer) => answer.status === 201)).toHaveLength(8);
    expect(await balance(api, 'alice')).toEqual({ posted: '600', out: '0', in: '0', available: '600' });
    expect(await read(api, id)).toMatchObject({ status: 'posted', captured: '400' });
  });

  test('is found by its status', async () => {
    const { api } = await books();
    const open = await hold(api, '1');
    const ended = await hold(api, '1');
    await api.post(`/v1/transactions/${ended.id}/void`, {});
    const ids = async (status: string) =>
      (await api.get(`/v1/transactions?status=${status}`))
        .as(z.object({ data: z.array(TransactionSchema) }))
        .data.map((each) => each.id);
    expect(await ids('pending')).toEqual([open.id]);
    expect(await ids('voided')).toEqual([ended.id]);
  });
});
