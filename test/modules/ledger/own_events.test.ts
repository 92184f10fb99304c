import { expect, test } from 'vitest';
import { eventStreams } from '../../support/event_streams.ts';
import { aTransaction } from '../../support/factories.ts';
import { startServer } from '../../support/server.ts';

const [server, elsewhere] = [await startServer(), await startServer()];
const { open, aBusyTenant } = eventStreams(server);

/** How many events the tails of this server have read in logs. */
async function eventsRead(): Promise<number> {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  return Number(/^lattice_stream_events_read_total (\d+)$/m.exec(text)?.[1]);
}

test('what a process posts itself comes to the letter as others read it in the log, and is not read for its own streams', async () => {
  const { tenant, api, alice, cash, transact, first } = await aBusyTenant();
  const here = await open(tenant, '?account=customers:alice');
  await here.live();
  const read_before = await eventsRead();
  const between = { debit: cash.id, credit: alice.id };
  await aTransaction(api, {
    ...between,
    effective_at: '2026-01-31T09:30:00.120000Z',
    reference: 'a "quoted" \\ one',
  });
  await aTransaction(api, {
    ...between,
    description: 'naïve ☂ 𝄞 \n',
    metadata: { 'a key': '\u0001', ключ: '' },
  });
  await aTransaction(api, { ...between, status: 'pending' });
  await aTransaction(api, { ...between, status: 'pending', expires_in_seconds: 600 });
  await aTransaction(api, { debit: alice.id, credit: cash.id, amount: '99999999999999999999999999999' });
  for (let round = 0; round < 20; round += 1) await transact();
  await api.post(`/v1/transactions/${first.id}/reversal`, {});
  const last = await transact();
  await here.reached(last.position);
  // What is looked up now and then may meet what was posted just now; the reversal is read.
  expect((await eventsRead()) - read_before).toBeLessThan(10);
  const there = await open(tenant, `?after=${first.position}`, {}, elsewhere.url);
  await there.reached(last.position);
  expect(here.events).toEqual(there.events);
  expect(here.positions).toHaveLength(27);
  await here.close();
  await there.close();
});
