// A process that is killed in the middle of its calls: what it had in its hands goes on in another.
import { expect, inject, test } from 'vitest';
import { z } from 'zod';
import { aClient, anEndpoint, posted_only, twoAccounts } from '../modules/webhooks/hooks.ts';
import { accept, aReceiver } from '../modules/webhooks/receiver.ts';
import { asSuperuser } from '../support/database.ts';
import { startProcess } from '../support/process.ts';
import { startServer } from '../support/server.ts';
import { waitFor } from '../support/wait.ts';

const endpoints = 10;
const events = 30;
const rounds = Math.min(inject('fault_rounds'), 8);

test('every event is delivered within ten seconds of the kill, none is lost, and its id stays the same', async () => {
  for (let round = 0; round < rounds; round += 1) {
    const doomed = await startProcess();
    const held: (() => void)[] = [];
    let is_holding = true;
    const receiver = await aReceiver((response, received, number) => {
      if (is_holding) held.push(() => accept(response, received, number));
      else accept(response, received, number);
    });
    const api = await aClient(doomed);
    const accounts = await twoAccounts(api);
    for (let count = 0; count < endpoints; count += 1) await anEndpoint(api, receiver, posted_only);
    const entries = [
      { account: accounts.debit, direction: 'debit', amount: '1' },
      { account: accounts.credit, direction: 'credit', amount: '1' },
    ];
    const transactions = Array.from({ length: events }, () => ({ entries }));
    expect((await api.post('/v1/transactions/bulk', { atomic: true, transactions })).status).toBe(201);
    await waitFor('each endpoint has a call open', () => held.length >= endpoints);
    const next = await startServer();
    await doomed.end('SIGKILL');
    const killed_at = performance.now();
    is_holding = false;
    const count = endpoints * events;
    const left = () =>
      asSuperuser(
        z.object({ status: z.string(), count: z.number() }),
        'select status, count(*)::integer as count from webhooks.delivery where tenant_id = $1 group by status',
        [api.tenant_id],
      );
    await waitFor(
      'all are delivered',
      async () => {
        const [row, ...others] = await left();
        return others.length === 0 && row?.status === 'succeeded' && row.count === count;
      },
      { timeout_ms: 15_000, interval_ms: 50 },
    );
    expect(performance.now() - killed_at).toBeLessThan(10_000);
    const texts = new Map<string, Set<string>>();
    for (const { headers, text } of receiver.received) {
      const id = z.string().parse(headers['webhook-id']);
      texts.set(id, (texts.get(id) ?? new Set()).add(text));
    }
    expect(texts.size).toBe(events);
    expect([...texts.values()].every(({ size }) => size === 1)).toBe(true);
    expect(receiver.received.length).toBeGreaterThanOrEqual(count + endpoints);
    await next.close();
  }
});
