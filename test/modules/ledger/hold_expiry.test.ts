// Holds that end by themselves: the log hears of each once, whoever is too late is refused, and no balance moves by it.
import { expect, test } from 'vitest';
import { z } from 'zod';
import { addJob } from '../../../src/job.ts';
import type { Client } from '../../support/client.ts';
import { asSuperuser, database } from '../../support/database.ts';
import { anAccount, aTenant, aTransaction, platform } from '../../support/factories.ts';
import { startServer } from '../../support/server.ts';
import { waitFor } from '../../support/wait.ts';

const server = await startServer({ JOBS: 'on' });
// Two processes do everything at once.
await startServer({ JOBS: 'on' });

const EventsSchema = z.object({
  data: z.array(z.looseObject({ type: z.string(), subject: z.string(), data: z.unknown() })),
});
const BalanceSchema = z.looseObject({ pending: z.unknown(), available: z.string(), posted: z.unknown() });

async function books() {
  const tenant = await aTenant();
  const api = server.client(tenant.api_key);
  await anAccount(api, { code: 'cash', type: 'asset' });
  await anAccount(api, { code: 'shop' });
  await anAccount(api, { code: 'alice' });
  await aTransaction(api, { debit: 'cash', credit: 'alice', amount: '1000' });
  return { api, tenant };
}

const hold = (api: Client, expires_in_seconds: number) =>
  aTransaction(api, { debit: 'alice', credit: 'shop', amount: '100', status: 'pending', expires_in_seconds });

/** What the minute does by itself. */
const look = () =>
  database.transaction(platform, (tx) => addJob(tx, { name: 'ledger.find_due_holds' }, {}, { key: 'test' }));

async function expired(api: Client): Promise<z.infer<typeof EventsSchema>['data']> {
  const { data } = (await api.get('/v1/events?types=ledger.transaction_expired&limit=200')).as(EventsSchema);
  return data;
}

async function balance(api: Client) {
  const { posted, pending, available } = (await api.get('/v1/accounts/alice/balance')).as(BalanceSchema);
  return { posted, pending, available };
}

const statusOf = async (api: Client, id: string) =>
  (await api.get(`/v1/transactions/${id}`)).as(z.looseObject({ status: z.string() })).status;

/** Looks until the projection has come as far as the holds. */
async function lookUntil(what: string, condition: () => Promise<boolean>): Promise<void> {
  await waitFor(
    what,
    async () => {
      await look();
      return condition();
    },
    { timeout_ms: 20_000, interval_ms: 250 },
  );
}

test('a hold that has ended gets one event, and reads the same before and after it', async () => {
  const { api } = await books();
  const { id } = await hold(api, 1);
  const { id: lasting } = await hold(api, 3_600);
  await waitFor('it has ended', async () => (await statusOf(api, id)) === 'expired');
  const before = await balance(api);
  expect(before.available).toBe('900');
  await lookUntil('the log says so', async () => (await expired(api)).length > 0);
  expect(await expired(api)).toMatchObject([
    {
      subject: id,
      data: {
        status: 'expired',
        released: [
          { account_code: 'alice', direction: 'debit', amount: '100' },
          { account_code: 'shop', direction: 'credit', amount: '100' },
        ],
      },
    },
  ]);
  expect(await balance(api)).toEqual(before);
  expect(await statusOf(api, id)).toBe('expired');
  expect(await statusOf(api, lasting)).toBe('pending');
  const refused = await api.post(`/v1/transactions/${id}/capture`, {});
  expect(refused.body).toMatchObject({ code: 'transaction_not_pending', transaction_status: 'expired' });
  expect((await api.get('/v1/proof')).body).toMatchObject({ ok: true });
});

test('of captures and expiries at the same moment each hold sees one, and money adds up', async () => {
  const { api, tenant } = await books();
  const holds = await Promise.all(Array.from({ length: 30 }, () => hold(api, 2)));
  await look();
  const [end] = await asSuperuser(
    z.object({ ms: z.string().transform(Number) }),
    'select extract(epoch from max(expires_at)) * 1000 as ms from ledger.entry where tenant_id = $1',
    [tenant.id],
  );
  const end_ms = Number(end?.ms);
  const captured: string[] = [];
  // Captures all around the moment at which they end, by the clock that Postgres has too.
  await Promise.all(
    holds.map(async ({ id }, index) => {
      await waitFor('its turn', () => Date.now() >= end_ms + 20 * (index - 20));
      await look();
      const answer = await api.post(`/v1/transactions/${id}/capture`, {});
      if (answer.status === 201) captured.push(id);
      else expect(answer.body).toMatchObject({ code: 'transaction_not_pending' });
    }),
  );
  const ended = holds.length - captured.length;
  await lookUntil('the rest has its events', async () => (await expired(api)).length >= ended);
  // Once more, for nothing.
  await look();
  const subjects = (await expired(api)).map(({ subject }) => subject);
  expect(subjects).toHaveLength(ended);
  expect([...new Set([...subjects, ...captured])]).toHaveLength(holds.length);
  expect((await balance(api)).available).toBe(String(1_000 - 100 * captured.length));
});
