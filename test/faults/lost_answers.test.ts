// The process dies after the commit and before the answer: the key resolves what became of the request.
import { randomUUID } from 'node:crypto';
import { kill } from 'node:process';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { holdCommits } from '../support/commits.ts';
import { asSuperuser } from '../support/database.ts';
import { anAccount, aTenant } from '../support/factories.ts';
import { startProcess, type TestProcess } from '../support/process.ts';
import { waitFor } from '../support/wait.ts';

const StoredSchema = z.object({ count: z.string() });

/** Sends a request, and kills the process when Postgres has committed it but nobody has been told. */
async function killBetweenCommitAndAnswer(process: TestProcess, send: () => Promise<unknown>): Promise<void> {
  const held = await holdCommits();
  const unanswered = send().then(
    () => 'answered',
    () => 'cut',
  );
  await held.oneWaits();
  const before = await storedKeys();
  // Stopped, the process cannot answer; Postgres goes on.
  kill(process.pid, 'SIGSTOP');
  await held.letGo();
  await waitFor('the commit is durable', async () => (await storedKeys()) === before + 1);
  await process.end('SIGKILL');
  expect(await unanswered).toBe('cut');
}

async function storedKeys(): Promise<number> {
  const [stored] = await asSuperuser(StoredSchema, 'select count(*) from log.idempotency_key');
  return Number(stored?.count);
}

test('a committed change is answered from its key by the next process, and has happened once', async () => {
  const tenant = await aTenant();
  const key = randomUUID();
  const account = { code: 'crash:1', type: 'liability', currency: 'EUR' };
  const doomed = await startProcess();
  await killBetweenCommitAndAnswer(doomed, () =>
    doomed.client(tenant.api_key).post('/v1/accounts', account, { key }),
  );
  const successor = await startProcess();
  const next = successor.client(tenant.api_key);
  const answer = await next.post('/v1/accounts', account, { key });
  expect([answer.status, answer.headers.get('idempotent-replayed')]).toEqual([201, 'true']);
  expect(answer.body).toEqual((await next.get('/v1/accounts/crash:1')).body);
  expect((await next.post('/v1/accounts', account)).status).toBe(409);
  await successor.end('SIGTERM');
});

test('a committed posting is answered from its key by the next process, with the bytes it would have had', async () => {
  const tenant = await aTenant();
  const key = randomUUID();
  const doomed = await startProcess();
  const api = doomed.client(tenant.api_key);
  for (const code of ['crash:a', 'crash:b']) await anAccount(api, { code });
  const transaction = {
    entries: [
      { account: 'crash:a', direction: 'debit', amount: '5' },
      { account: 'crash:b', direction: 'credit', amount: '5' },
    ],
  };
  await killBetweenCommitAndAnswer(doomed, () => api.post('/v1/transactions', transaction, { key }));
  const successor = await startProcess();
  const next = successor.client(tenant.api_key);
  const answer = await next.post('/v1/transactions', transaction, { key });
  expect([answer.status, answer.headers.get('idempotent-replayed')]).toEqual([201, 'true']);
  const again = await next.post('/v1/transactions', transaction, { key });
  expect(again.text).toBe(answer.text);
  const balance = await next.get('/v1/accounts/crash:b/balance');
  expect(balance.body, successor.output()).toMatchObject({ posted: { credits: '5' } });
  await successor.end('SIGTERM');
});
