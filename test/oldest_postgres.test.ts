// The oldest PostgreSQL that is supported. Every other test runs on the embedded one, which is the newest.
import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { sessionRefusal } from '../src/cli/postgres.ts';
import { openServer } from '../src/cli/server.ts';
import { readConfig } from '../src/config.ts';
import { createLogger } from '../src/log.ts';
import { Client } from './support/client.ts';
import { startCluster } from './support/cluster.ts';
import { atEnd } from './support/database.ts';
import { anAccount, aTenant, aTransaction } from './support/factories.ts';
import { createTemplate, template_database } from './support/template.ts';

const programs = '/usr/lib/postgresql/15/bin';
/** Debian's package postgresql-15; .ci/run installs it, a developer's machine need not have it. */
const is_here = existsSync(programs) || process.env.CI !== undefined;

test('a server older than 15 is refused, and says so', () => {
  const session = { role: 'lattice_app', is_superuser: false, bypasses_rls: false, owns_tables: false };
  expect(sessionRefusal({ ...session, version_num: 140_012, version: '14.12' })).toMatch(
    /14\.12.*15 or newer/,
  );
  expect(sessionRefusal({ ...session, version_num: 150_000, version: '15.0' })).toBeNull();
});

const BalanceSchema = z.looseObject({
  available: z.string(),
  pending: z.object({ out: z.string(), in: z.string() }),
});

test.each(is_here ? [15] : [])(
  'PostgreSQL %i migrates, posts, holds, refuses and balances',
  async (major) => {
    const cluster = await startCluster({ durable: true, programs });
    atEnd(() => cluster.stop());
    await createTemplate(cluster);
    const app_url = cluster.url('lattice_app', template_database);
    const config = readConfig({ NODE_ENV: 'test', DATABASE_URL: app_url, LOG_LEVEL: 'warn', PORT: '0' });
    const server = await openServer(config, app_url, createLogger(config.LOG_LEVEL));
    atEnd(() => server.close());
    const url = await server.listen(config.HOST, config.PORT);

    const VersionSchema = z.object({ major: z.number() });
    const version = {
      name: 'version',
      text: "select current_setting('server_version_num')::integer / 10000 as major",
      parameters: [],
    };
    expect(await server.database.call(version, {}, VersionSchema)).toEqual([{ major }]);

    const tenant = await aTenant({}, server.database);
    const api = new Client(url, tenant.api_key);
    const bank = await anAccount(api, { type: 'asset' });
    const wallet = await anAccount(api, { limits: { available_min: '0' } });
    await aTransaction(api, { debit: bank.id, credit: wallet.id, amount: '1000' });
    const hold = await aTransaction(api, {
      debit: wallet.id,
      credit: bank.id,
      amount: '400',
      status: 'pending',
    });
    const too_much = await api.post('/v1/transactions', {
      entries: [
        { account: wallet.id, direction: 'debit', amount: '601' },
        { account: bank.id, direction: 'credit', amount: '601' },
      ],
    });
    expect(too_much.body).toMatchObject({ code: 'insufficient_funds', available: '600' });
    expect((await api.post(`/v1/transactions/${hold.id}/capture`, { amount: '150' })).status).toBe(201);
    const balance = await api.get(`/v1/accounts/${wallet.code}/balance`);
    expect(balance.as(BalanceSchema)).toMatchObject({ available: '600', pending: { out: '250', in: '0' } });
    const then = await api.get(`/v1/accounts/${wallet.code}/balance?known_at=${hold.position}`);
    expect(then.as(BalanceSchema)).toMatchObject({ available: '600', pending: { out: '400', in: '0' } });
  },
);
