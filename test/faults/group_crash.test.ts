// The process dies while atomic groups are on their way to Postgres behind one another.
import { randomUUID } from 'node:crypto';
import { expect, inject, test } from 'vitest';
import { z } from 'zod';
import { asSuperuser } from '../support/database.ts';
import { anAccount, aTenant } from '../support/factories.ts';
import { startProcess } from '../support/process.ts';

const CountSchema = z.object({ amount: z.string(), count: z.number() });
const size = 300;
const rounds = Math.min(inject('fault_rounds'), 10);

test('each group is there as a whole or not at all, and once when it is sent again', async () => {
  for (let round = 0; round < rounds; round += 1) {
    const tenant = await aTenant();
    const doomed = await startProcess();
    const api = doomed.client(tenant.api_key);
    for (const code of ['group:a', 'group:b']) await anAccount(api, { code });
    // Known by the amounts of their postings.
    const groups = Array.from({ length: 16 }, (_, number) => {
      const entries = [
        { account: 'group:a', direction: 'debit', amount: `${number + 1}` },
        { account: 'group:b', direction: 'credit', amount: `${number + 1}` },
      ];
      return {
        key: randomUUID(),
        body: { atomic: true, transactions: Array.from({ length: size }, () => ({ entries })) },
      };
    });
    const countByAmount = async () => {
      const rows = await asSuperuser(
        CountSchema,
        `select amount::text, count(*)::integer from ledger.entry where tenant_id = $1 and direction = 'debit' group by amount`,
        [tenant.id],
      );
      return new Map(rows.map(({ amount, count }) => [amount, count]));
    };

    const told = new Map<string, string>();
    const sent = groups.map(async ({ key, body }) => {
      const answer = await api.post('/v1/transactions/bulk', body, { key }).catch(() => null);
      if (answer?.status !== 201) return;
      told.set(key, answer.text);
      if (told.size === 3) await doomed.end('SIGKILL');
    });
    await Promise.all(sent);
    expect(told.size).toBeGreaterThanOrEqual(3);
    expect(told.size).toBeLessThan(groups.length);

    const successor = await startProcess();
    const next = successor.client(tenant.api_key);
    const left = await countByAmount();
    for (const [index, { key }] of groups.entries()) {
      const count = left.get(`${index + 1}`) ?? 0;
      expect(told.has(key) ? [size] : [0, size]).toContain(count);
    }
    for (const { key, body } of groups) {
      const answer = await next.post('/v1/transactions/bulk', body, { key });
      expect(answer.status, answer.text).toBe(201);
      expect(told.get(key) ?? answer.text).toBe(answer.text);
    }
    const counts = await countByAmount();
    expect([...counts.values()]).toEqual(groups.map(() => size));
    await successor.end('SIGTERM');
  }
});
