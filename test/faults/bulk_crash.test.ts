// The process dies in the middle of a bulk request whose items stand on their own: the same request goes on with the rest, and no other
// takes its key.
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { refusal } from '../http/problems.ts';
import { databaseUrl } from '../support/database.ts';
import { anAccount, aTenant } from '../support/factories.ts';
import { startProcess } from '../support/process.ts';
import { waitFor } from '../support/wait.ts';

const path = '/v1/transactions/bulk';
const item_count = 10_000;
const ResultsSchema = z.object({ results: z.array(z.looseObject({ status: z.number() })) });
const CountSchema = z.object({ count: z.coerce.number() });

test('items that were posted before a crash are answered, and the others posted, when the request comes again', async () => {
  const tenant = await aTenant();
  const key = randomUUID();
  const doomed = await startProcess();
  const api = doomed.client(tenant.api_key);
  await anAccount(api, { code: 'cash', type: 'asset' });
  await anAccount(api, { code: 'alice' });
  const move = {
    entries: [
      { account: 'cash', direction: 'debit', amount: '1' },
      { account: 'alice', direction: 'credit', amount: '1' },
    ],
  };
  const body = { atomic: false, transactions: Array.from({ length: item_count }, () => move) };

  const holder = new pg.Client({ connectionString: databaseUrl('postgres') });
  await holder.connect();
  const postings = async () => {
    const { rows } = await holder.query(
      `select count(*) from log.event where tenant_id = $1 and type = 'ledger.transaction_posted'`,
      [tenant.id],
    );
    return CountSchema.parse(rows[0]).count;
  };
  const unanswered = api.post(path, body, { key }).then(
    () => 'answered',
    () => 'cut',
  );
  await waitFor('some are posted', async () => (await postings()) > 0);
  // With the tenant's lock the next batch waits for as long as it takes to kill the process.
  await holder.query('select pg_advisory_lock(hashtextextended($1, 7461))', [tenant.id]);
  const before = await postings();
  await doomed.end('SIGKILL');
  await holder.query('select pg_advisory_unlock(hashtextextended($1, 7461))', [tenant.id]);
  expect(await unanswered).toBe('cut');
  expect(before).toBeLessThan(item_count);

  const successor = await startProcess();
  const next = successor.client(tenant.api_key);
  const another = await next.post(path, { atomic: false, transactions: [move] }, { key });
  expect(refusal(another)).toMatch(/^422 idempotency_key_reused/);
  const answer = await next.post(path, body, { key });
  expect(answer.status).toBe(200);
  const { results } = answer.as(ResultsSchema);
  expect(results.filter(({ status }) => status === 201)).toHaveLength(item_count);
  expect(await postings()).toBe(item_count);
  const again = await next.post(path, body, { key });
  expect([again.text, again.headers.get('idempotent-replayed')]).toEqual([answer.text, 'true']);
  await holder.end();
  await successor.end('SIGTERM');
}, 120_000);
