// The key that signing secrets are kept with, and how it is replaced.
import { Webhook } from 'standardwebhooks';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { anEndpoint, posted_only, twoAccounts } from '../../modules/webhooks/hooks.ts';
import { aReceiver, headersOf } from '../../modules/webhooks/receiver.ts';
import { asSuperuser } from '../../support/database.ts';
import { aTenant, aTransaction } from '../../support/factories.ts';
import { startServer } from '../../support/server.ts';
import { waitFor } from '../../support/wait.ts';

test('the key that secrets are kept with is replaced while calls go on, and the former one can be thrown away', async () => {
  const key = (letter: string) => Buffer.alloc(32, letter).toString('base64');
  const kept = (...keys: string[]) => startServer({ WEBHOOK_SECRET_KEY: keys.join(',') });
  const receiver = await aReceiver();
  const tenant = await aTenant();
  const sealed = () =>
    asSuperuser(
      z.object({ sealed: z.instanceof(Buffer) }),
      'select sealed from webhooks.signing_secret where tenant_id = $1',
      [tenant.id],
    );
  const first = await kept(key('a'));
  const api = first.client(tenant.api_key);
  const accounts = await twoAccounts(api);
  const { secret } = await anEndpoint(api, receiver, posted_only);
  const before = await sealed();
  await first.close();
  const both = await kept(key('b'), key('a'));
  await aTransaction(both.client(tenant.api_key), accounts);
  await waitFor('it is called', () => receiver.received.length === 1);
  await waitFor('it is sealed anew', async () => {
    const [now] = await sealed();
    return now !== undefined && before[0] !== undefined && !now.sealed.equals(before[0].sealed);
  });
  await both.close();
  const last = await kept(key('b'));
  await aTransaction(last.client(tenant.api_key), accounts);
  await waitFor('it is called again', () => receiver.received.length === 2);
  for (const each of receiver.received) {
    const verified = new Webhook(z.string().parse(secret)).verify(each.text, headersOf(each));
    expect(verified).toMatchObject({ type: 'ledger.transaction_posted' });
  }
});

test('an endpoint whose secret does not open is not called, and delays no other', async () => {
  const server = await startServer();
  const [lost, kept] = [await aReceiver(), await aReceiver()];
  const tenant = await aTenant();
  const api = server.client(tenant.api_key);
  const accounts = await twoAccounts(api);
  await anEndpoint(api, lost, posted_only);
  await asSuperuser(
    z.unknown(),
    "update webhooks.signing_secret set sealed = decode(repeat('00', 60), 'hex') where tenant_id = $1",
    [tenant.id],
  );
  await anEndpoint(api, kept, posted_only);
  await aTransaction(api, accounts);
  await waitFor('the other is called', () => kept.received.length === 1);
  const countPending = async () => {
    const [pending] = await asSuperuser(
      z.object({ count: z.number() }),
      "select count(*)::integer from webhooks.delivery where tenant_id = $1 and status = 'pending' and attempts = 0",
      [tenant.id],
    );
    return pending?.count;
  };
  // What the other answered is recorded after it was called.
  await waitFor('the call of the other is recorded', async () => (await countPending()) === 1);
  expect(lost.received).toEqual([]);
});
