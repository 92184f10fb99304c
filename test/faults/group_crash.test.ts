// The process dies while atomic groups are on their way to Postgres behind one another.
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, expect, inject, test } from 'vitest';
import { z } from 'zod';
import { asSuperuser, databaseUrl } from '../support/database.ts';
import { anAccount, aTenant } from '../support/factories.ts';
import { startProcess } from '../support/process.ts';

const CountSchema = z.object({ amount: z.string(), count: z.number() });
const size = 300;
const rounds = Math.min(inject('fault_rounds'), 10);

/** Groups that are done freely. Those behind them wait for this lock, or all might be done before a slow client is told of three. */
const free_groups = 8;
const gate = 4_712;

await asSuperuser(
  z.unknown(),
  `create function public.wait_at_gate() returns trigger language plpgsql security definer as $$
   begin
     -- each posting and each group has a key
     if (select count(*) from log.idempotency_key where tenant_id in (select tenant_id from added)) > ${(free_groups + 1) * size} then
       perform pg_advisory_xact_lock_shared(${gate});
     end if;
     return null;
   end $$`,
);
await asSuperuser(
  z.unknown(),
  `create trigger wait_at_gate after insert on log.idempotency_key referencing new table as added
   for each statement execute function public.wait_at_gate()`,
);
const gatekeeper = new pg.Client({ connectionString: databaseUrl('postgres') });
await gatekeeper.connect();
afterAll(() => gatekeeper.end());

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

    await gatekeeper.query('select pg_advisory_lock($1)', [gate]);
    const told = new Map<string, string>();
    const sent = groups.map(async ({ key, body }) => {
      const answer = await api.post('/v1/transactions/bulk', body, { key }).catch(() => null);
      if (answer?.status !== 201) return;
      told.set(key, answer.text);
      if (told.size === 3) await doomed.end('SIGKILL');
    });
    await Promise.all(sent);
    await gatekeeper.query('select pg_advisory_unlock($1)', [gate]);
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
