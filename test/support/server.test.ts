import { expect, test } from 'vitest';
import { anAccount, aTenant, aTransaction } from './factories.ts';
import { startProcess } from './process.ts';
import { startServer } from './server.ts';

const server = await startServer();

test('a server in this process answers by the document', async () => {
  const tenant = await aTenant();
  const api = server.client(tenant.api_key);
  const alice = await anAccount(api);
  const bob = await anAccount(api);
  const transaction = await aTransaction(api, { debit: alice.id, credit: bob.code });
  expect(transaction).toMatchObject({ status: 'posted' });
});

test('a second process is ready, answers, can be killed, and ends when it is told to', async () => {
  const tenant = await aTenant();
  const first = await startProcess();
  await anAccount(first.client(tenant.api_key));
  expect(await first.end('SIGKILL')).toBe('SIGKILL');
  const second = await startProcess();
  await anAccount(second.client(tenant.api_key));
  expect(await second.end('SIGTERM')).toBe(0);
});
