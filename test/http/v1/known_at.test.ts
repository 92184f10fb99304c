// What had been recorded by an instant that is past: the same whenever it is asked, also while a posting is between its instant and its commit.
import { expect, test } from 'vitest';
import { z } from 'zod';
import { holdCommits } from '../../support/commits.ts';
import { asSuperuser } from '../../support/database.ts';
import { anAccount, aTenant, aTransaction } from '../../support/factories.ts';
import { reads } from '../../support/routes.ts';
import { startServer } from '../../support/server.ts';
import { waitFor } from '../../support/wait.ts';

const server = await startServer();

const ListSchema = z.looseObject({ data: z.array(z.unknown()) });
const TextSchema = z.object({ text: z.string() });

/** The lock that a session waits for, as Postgres lists it. */
const waitingForTenant = (tenant_id: string) =>
  asSuperuser(
    TextSchema,
    `select mode as text from pg_locks join pg_stat_activity using (pid)
     where datname = current_database() and locktype = 'advisory' and not granted and objsubid = 1
       and (classid::bigint << 32 | objid::bigint) = hashtextextended($1::text, 7461)`,
    [tenant_id],
  );

async function databaseClock(): Promise<string> {
  const format = `'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'`;
  const [row] = await asSuperuser(
    TextSchema,
    `select to_char(clock_timestamp() at time zone 'UTC', ${format}) as text`,
  );
  return z.string().parse(row?.text);
}

async function aBook() {
  const tenant = await aTenant();
  const api = server.client(tenant.api_key);
  await anAccount(api, { code: 'cash', type: 'asset' });
  await anAccount(api, { code: 'alice' });
  const deposit = () => aTransaction(api, { debit: 'cash', credit: 'alice' });
  return { tenant, api, deposit };
}

/** Runs `work` while a posting of the tenant has its instant but is not committed; answers what `work` began and the posting. */
async function whileCommitting<Begun>(
  { deposit }: Awaited<ReturnType<typeof aBook>>,
  work: () => Promise<Begun>,
) {
  const held = await holdCommits();
  try {
    const posting = deposit();
    await held.oneWaits();
    const [begun] = await Promise.allSettled([work()]);
    await held.letGo();
    const posted = await posting;
    if (begun.status === 'rejected') throw begun.reason;
    return { begun: begun.value, posted };
  } finally {
    await held.letGo();
  }
}

const axes = reads.flatMap(({ path, operation }) =>
  operation.parameters
    .filter(({ name }) => name === 'known_at' || name === 'recorded_at')
    .map(({ name }) => ({ path, axis: name === 'known_at' ? 'known_at' : 'recorded_at[lte]' })),
);

test('the routes that read what had been recorded are there to be walked', () => {
  expect(axes).toEqual([
    { path: '/v1/transactions', axis: 'recorded_at[lte]' },
    { path: '/v1/accounts/{account}/balance', axis: 'known_at' },
    { path: '/v1/accounts/{account}/entries', axis: 'recorded_at[lte]' },
    { path: '/v1/balances', axis: 'known_at' },
    { path: '/v1/trial_balance', axis: 'known_at' },
  ]);
});

test.each(axes)(
  '$path?$axis= of a past instant waits for what is being committed',
  async ({ path, axis }) => {
    const book = await aBook();
    const { api, tenant } = book;
    const before = await book.deposit();
    await book.deposit();
    const read = (instant: string) =>
      api.get(`${path.replace('{account}', 'alice')}?${new URLSearchParams({ [axis]: instant })}`);
    const older = await read(before.recorded_at);

    const { begun, posted } = await whileCommitting(book, async () => {
      const instant = await databaseClock();
      const reading = read(instant);
      const answered = reading.then(() => true);
      await waitFor(
        'the read waits',
        async () =>
          (await waitingForTenant(tenant.id)).length === 1 ||
          Promise.race([answered, Promise.resolve(false)]),
      );
      expect(await waitingForTenant(tenant.id)).toEqual([{ text: 'ShareLock' }]);
      // Neither what is older than the log's last event nor the future waits for anybody.
      const answers = await Promise.all([read(before.recorded_at), read('2099-01-01T00:00:00Z')]);
      expect(answers.map(({ status }) => status)).toEqual([200, 200]);
      expect(answers[0]?.text).toBe(older.text);
      return { instant, reading };
    });

    const first = await begun.reading;
    expect(first.text).toContain(`"position":${posted.position}`);
    await book.deposit();
    const again = await read(begun.instant);
    if (axis === 'known_at') expect(again.text).toBe(first.text);
    // A list tells the head of the log as well.
    else expect(again.as(ListSchema).data).toEqual(first.as(ListSchema).data);
  },
);
