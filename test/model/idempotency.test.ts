// One key is one effect and one answer, whoever sends it, how often, and whatever dies in between.
import { expect, inject, test } from 'vitest';
import { anAccount, aTenant } from '../support/factories.ts';
import { startServer } from '../support/server.ts';
import { waitFor } from '../support/wait.ts';
import { Wire } from './wire.ts';

const server = await startServer();
const clients = 20;
const keys_at_once = 16;

test('keys that twenty clients send at once have one effect and one answer each', async () => {
  const keys = inject('fault_rounds') > 1 ? 10_000 : 250;
  const tenant = await aTenant();
  const api = server.client(tenant.api_key);
  await anAccount(api, { code: 'world', type: 'asset' });
  await anAccount(api, { code: 'wallet', limits: { available_min: '0' } });
  const wire = new Wire(server.url, tenant.api_key, keys_at_once * clients);
  // Every fifth key asks for more than there is: a refusal is an answer too.
  const body = (i: number) =>
    i % 5 === 0 ? transfer('wallet', 'world', '9'.repeat(20)) : transfer('world', 'wallet', '1');
  const send = async (i: number) => {
    const answer = await wire.send('POST', '/v1/transactions', body(i), `key-${i}`);
    if (!answer.text.includes('idempotency_key_in_use')) return answer;
    expect(answer).toMatchObject({ status: 409, retry_after: expect.stringMatching(/^\d+$/) });
    return null;
  };
  let next = 0;
  const worker = async () => {
    for (let i = next++; i < keys; i = next++) {
      const at_once = await Promise.all(Array.from({ length: clients }, () => send(i)));
      const answers = at_once.filter((answer) => answer !== null);
      // Who found the key in use asks again, one after the other: at once they would find one another's requests under way.
      while (answers.length < clients) {
        answers.push(await waitFor(`key ${i} is answered`, () => send(i), { timeout_ms: 60_000 }));
      }
      expect(new Set(answers.map((answer) => answer.text)).size).toBe(1);
      expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([i % 5 === 0 ? 422 : 201]));
      expect(answers.filter((answer) => !answer.replayed)).toHaveLength(1);
    }
  };
  await Promise.all(Array.from({ length: keys_at_once }, worker));
  await wire.close();
  const posted = String(keys - Math.ceil(keys / 5));
  expect((await api.get('/v1/accounts/wallet/balance')).body).toMatchObject({
    posted: { debits: '0', credits: posted, balance: posted },
  });
}, 1_800_000);

test('a key that was used is refused for another body, path or method, and still answers its own request', async () => {
  const tenant = await aTenant();
  const api = server.client(tenant.api_key);
  const world = await anAccount(api, { code: 'world', type: 'asset' });
  await anAccount(api, { code: 'wallet' });
  const key = 'order-1';
  const first = await api.post('/v1/transactions', transfer('world', 'wallet', '5'), { key });
  const others = [
    await api.post('/v1/transactions', transfer('world', 'wallet', '6'), { key }),
    await api.post('/v1/transactions', 'not even a transaction', { key }),
    await api.post('/v1/transactions', undefined, { key, raw: '{"entries": [' }),
    await api.post('/v1/transactions?dry_run=true', transfer('world', 'wallet', '5'), { key }),
    await api.post('/v1/transactions/bulk', transfer('world', 'wallet', '5'), { key }),
    await api.post('/v1/accounts', transfer('world', 'wallet', '5'), { key }),
    await api.patch(`/v1/accounts/${world.id}`, transfer('world', 'wallet', '5'), { key }),
    await api.post('/v1/transactions/txn_01h455vb4pex5vsknk084sn02q/void', {}, { key }),
  ];
  expect(others.map((answer) => [answer.status, Object(answer.body).code])).toEqual(
    others.map(() => [422, 'idempotency_key_reused']),
  );
  const again = await api.post('/v1/transactions', transfer('world', 'wallet', '5'), { key });
  expect(again.text).toBe(first.text);
  expect(again.headers.get('idempotent-replayed')).toBe('true');
});

test('a refusal sticks to its key after its reason is gone', async () => {
  const tenant = await aTenant();
  const api = server.client(tenant.api_key);
  await anAccount(api, { code: 'world', type: 'asset' });
  await anAccount(api, { code: 'wallet', limits: { available_min: '0' } });
  const spend = (key: string) => api.post('/v1/transactions', transfer('wallet', 'world', '5'), { key });
  const refused = await spend('one');
  await api.post('/v1/transactions', transfer('world', 'wallet', '5'));
  const again = await spend('one');
  expect([refused.status, again.status, again.text === refused.text]).toEqual([422, 422, true]);
  expect((await spend('two')).status).toBe(201);
});

test('a dry run, a malformed request and an unknown path leave their key unused', async () => {
  const tenant = await aTenant();
  const api = server.client(tenant.api_key);
  await anAccount(api, { code: 'world', type: 'asset' });
  await anAccount(api, { code: 'wallet' });
  const key = 'one';
  const body = transfer('world', 'wallet', '5');
  const statuses = [
    (await api.post('/v1/transactions?dry_run=true', body, { key })).status,
    (await api.post('/v1/transactions', {}, { key })).status,
    (await api.post('/v1/transactions/txn_01h455vb4pex5vsknk084sn02q/void', {}, { key })).status,
    (await server.client(null).post('/v1/transactions', body, { key })).status,
    (await api.post('/v1/transactions', body, { key })).status,
  ];
  expect(statuses).toEqual([200, 400, 404, 401, 201]);
});

function transfer(from: string, to: string, amount: string) {
  return {
    entries: [
      { account: from, direction: 'debit', amount },
      { account: to, direction: 'credit', amount },
    ],
  };
}
