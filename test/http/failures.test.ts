// What goes wrong on our side: nothing leaks, it is logged once, and it can be retried.
import { expect, test } from 'vitest';
import { z } from 'zod';
import { asSuperuser } from '../support/database.ts';
import { anAccount, aTenant } from '../support/factories.ts';
import { startProcess } from '../support/process.ts';
import { waitFor } from '../support/wait.ts';
import { ProblemSchema } from './problems.ts';

const process = await startProcess({ STREAMS_PER_PROCESS: '1' });
const NothingSchema = z.looseObject({});

test('a request that is one too many is refused without a line in the log', async () => {
  const api = process.client((await aTenant()).api_key);
  const leaving = new AbortController();
  const headers = { Authorization: `Bearer ${api.api_key}` };
  await fetch(`${process.url}/v1/events/stream`, { headers, signal: leaving.signal });
  const refused = await api.get('/v1/events/stream');
  leaving.abort();
  const problem = ProblemSchema.parse(refused.body);
  expect(problem.code).toBe('overloaded');
  // What comes after it has been written says that its own line would have been, too.
  await asSuperuser(NothingSchema, 'alter table tenants.asset rename to asset_away');
  const failed = ProblemSchema.parse((await api.get('/v1/assets')).body);
  await asSuperuser(NothingSchema, 'alter table tenants.asset_away rename to asset');
  await waitFor('the failure is in the log', () => process.output().includes(failed.request_id));
  expect(process.output()).not.toContain(problem.request_id);
});

test('an unexpected failure is an internal_error that says nothing, and one line in the log that says what', async () => {
  const api = process.client((await aTenant()).api_key);
  await anAccount(api, { code: 'fail:1' });
  await asSuperuser(
    NothingSchema,
    `create function public.fail() returns trigger language plpgsql as $$ begin raise exception 'canary of the failure' using detail = 'row canary'; end $$`,
  );
  await asSuperuser(
    NothingSchema,
    'create trigger fail before insert on log.idempotency_key for each row execute function public.fail()',
  );
  const account = { code: 'fail:2', type: 'asset', currency: 'EUR' };
  const failed = await api.post('/v1/accounts', account, { key: 'failing' });
  await asSuperuser(NothingSchema, 'drop trigger fail on log.idempotency_key');
  const problem = ProblemSchema.parse(failed.body);
  expect(problem).toMatchObject({ status: 500, code: 'internal_error', retryable: true });
  expect(failed.text).not.toContain('canary');
  const told = () =>
    process
      .output()
      .split('\n')
      .filter((line) => line.includes('canary'));
  await waitFor('the log says what', () => told().length > 0);
  const lines = told();
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain(problem.request_id);
  expect(lines[0]).toContain('canary of the failure');
  expect(lines[0]).not.toContain('row canary');
  // Nothing of it stayed, and the same request may be sent again.
  expect((await api.get('/v1/accounts/fail:2')).status).toBe(404);
  expect((await api.post('/v1/accounts', account, { key: 'failing' })).status).toBe(201);
});

test('a lost database is 503 with Retry-After, and comes back by itself', async () => {
  const api = process.client((await aTenant()).api_key);
  await anAccount(api, { code: 'lost:1' });
  const lost = await asSuperuser(
    z.object({ pid: z.number() }),
    `select pid, pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and application_name = 'lattice'`,
  );
  const answers = await Promise.all(Array.from({ length: 5 }, () => api.get('/v1/accounts/lost:1')));
  for (const answer of answers) {
    expect([200, 503]).toContain(answer.status);
    if (answer.status === 503) {
      expect(ProblemSchema.parse(answer.body)).toMatchObject({ code: 'unavailable', retryable: true });
      expect(answer.headers.get('retry-after')).toBe('1');
    }
  }
  // Postgres answers before those that it ends have gone.
  await waitFor('all have gone', async () => {
    const left = await asSuperuser(NothingSchema, 'select pid from pg_stat_activity where pid = any ($1)', [
      lost.map(({ pid }) => pid),
    ]);
    return left.length === 0;
  });
  expect((await api.get('/v1/accounts/lost:1')).status).toBe(200);
});
