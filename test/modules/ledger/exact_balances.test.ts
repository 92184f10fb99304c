// Balances are exact however far the projection has come: for few accounts and for many, now and at any instant of the past.
import { expect, test } from 'vitest';
import { z } from 'zod';
import { queries, type Tx } from '../../../src/db.ts';
import { newUuid } from '../../../src/id.ts';
import type { Client } from '../../support/client.ts';
import { asSuperuser, database } from '../../support/database.ts';
import { anAccount, aTenant, type TestTenant } from '../../support/factories.ts';
import { startServer } from '../../support/server.ts';
import { randomBooks, randomFrom } from './random_books.ts';

const sql = queries(
  import.meta.url,
  'balances_apply',
  'balances_read',
  'current_read',
  'past_read',
  'posted_read',
);

const tables = [
  'balances_v',
  'expiring_holds_v',
  'open_holds_v',
  'balance_checkpoints_v',
  'dated_blocks_v',
  'dated_sums_v',
];

const SumsSchema = z.object({ sums: z.string() });
const AccountSchema = z.object({ id: z.string() });
const MomentSchema = z.object({ moment: z.string() });

const recount = `
  select string_agg(concat_ws(' ', id, posted_debits, posted_credits, pending_debits, pending_credits), ', ' order by id) as sums
  from (
    select account.id,
      coalesce(sum(amount) filter (where layer = 'posted' and direction = 'debit'), 0) as posted_debits,
      coalesce(sum(amount) filter (where layer = 'posted' and direction = 'credit'), 0) as posted_credits,
      coalesce(sum(amount) filter (where layer = 'pending' and direction = 'debit'), 0) as pending_debits,
      coalesce(sum(amount) filter (where layer = 'pending' and direction = 'credit'), 0) as pending_credits
    from ledger.account
    left join ledger.entry on entry.tenant_id = account.tenant_id and entry.account_id = account.id
      and (entry.expires_at is null or entry.expires_at > $2)
    where account.tenant_id = $1
    group by account.id
  ) counted`;

/** The instant of the last event, and instants after it: some holds expire in between. */
const moments = `
  select to_char(max(recorded_at) + later, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as moment
  from log.event, unnest(array[interval '0', interval '1 second', interval '2 seconds', interval '2 hours']) later
  where tenant_id = $1
  group by later
  order by later`;

const QuestionsSchema = z.object({ questions: z.string() });

/** Questions about the past of each account: positions with their instants, alone and with business times before and after. */
const questions = `
  select jsonb_agg(to_jsonb(question))::text as questions
  from (
    select row_number() over () as number, account.id as account_id, event.position, event.recorded_at as known_at,
      case when back is not null then now() - back end as as_of
    from ledger.account
    join log.event on event.tenant_id = account.tenant_id and event.position % $2 = 7
    cross join unnest(array[null, interval '0', interval '3 days', interval '30 days', interval '-40 days']) back
    where account.tenant_id = $1
  ) question`;

const recount_past = `
  select string_agg(concat_ws(' ', number, posted_debits, posted_credits, pending_debits, pending_credits), ', ' order by number) as sums
  from (
    select question.number,
      coalesce(sum(amount) filter (where layer = 'posted' and direction = 'debit'), 0) as posted_debits,
      coalesce(sum(amount) filter (where layer = 'posted' and direction = 'credit'), 0) as posted_credits,
      coalesce(sum(amount) filter (where layer = 'pending' and direction = 'debit'), 0) as pending_debits,
      coalesce(sum(amount) filter (where layer = 'pending' and direction = 'credit'), 0) as pending_credits
    from jsonb_to_recordset($2) as question(number integer, account_id uuid, position bigint, known_at timestamptz, as_of timestamptz)
    left join ledger.entry on entry.tenant_id = $1 and entry.account_id = question.account_id
      and entry.position <= question.position
      and (question.as_of is null or entry.effective_at <= question.as_of)
      and (entry.expires_at is null or entry.expires_at > coalesce(question.as_of, question.known_at))
    group by question.number
  ) counted`;

/** A tenant with a past that nobody has followed. */
async function aPast(post: (api: Client) => Promise<unknown>): Promise<TestTenant> {
  const tenant = await aTenant();
  const server = await startServer();
  await post(server.client(tenant.api_key));
  await server.close();
  for (const table of tables) {
    await asSuperuser(z.unknown(), `delete from projection.${table} where tenant_id = $1`, [tenant.id]);
  }
  await asSuperuser(z.unknown(), `delete from log.consumer where tenant_id = $1 and name = 'balances'`, [
    tenant.id,
  ]);
  return tenant;
}

/** 9,000 dated entries on one account, a few of the later ones holds that expire. */
async function severalLevels(api: Client): Promise<void> {
  for (const [code, type] of [
    ['deep', 'asset'],
    ['other', 'liability'],
  ] as const) {
    await anAccount(api, { code, type });
  }
  const random = randomFrom(11);
  for (let round = 0; round < 9; round += 1) {
    const transactions = Array.from({ length: 1_000 }, () => {
      const amount = String(1 + Math.floor(random() * 1_000));
      const held = round > 3 && random() < 0.01;
      const [debited, credited] = random() < 0.7 ? ['deep', 'other'] : ['other', 'deep'];
      return {
        entries: [
          { account: debited, direction: 'debit', amount },
          { account: credited, direction: 'credit', amount },
        ],
        effective_at: new Date(Date.now() - random() * 60 * 86_400_000).toISOString(),
        ...(held ? { status: 'pending', expires_in_seconds: 3_600 } : {}),
      };
    });
    await api.post('/v1/transactions/bulk', { atomic: true, transactions });
  }
}

/** Calls `look` before the first slice, between slices and after the last one. */
async function betweenSlices(
  tenant: TestTenant,
  limit: number,
  look: (tx: Tx) => Promise<void>,
): Promise<void> {
  const StateSchema = z.object({ state: z.string() });
  for (let state: string | undefined = 'slice'; state === 'slice'; ) {
    await database.read(tenant.actor, look);
    const applied = await database.call(sql.balances_apply, { tenant_id: tenant.id, limit }, StateSchema);
    state = applied[0]?.state;
  }
}

test('now, and a moment later when holds have expired', async () => {
  const tenant = await aPast((api) => randomBooks(api, 5, 900));
  const accounts = await asSuperuser(AccountSchema, 'select id from ledger.account where tenant_id = $1', [
    tenant.id,
  ]);
  const own_ids = accounts.map(({ id }) => id);
  const crowd = [...own_ids, ...Array.from({ length: 600 }, () => newUuid())];
  const asked = await asSuperuser(MomentSchema, moments, [tenant.id]);
  const counted = await Promise.all(
    asked.map(async ({ moment }) => (await asSuperuser(SumsSchema, recount, [tenant.id, moment]))[0]),
  );
  expect(new Set(counted.map((each) => each?.sums)).size).toBeGreaterThan(2);
  await betweenSlices(tenant, 130, async (tx) => {
    for (const [index, { moment: now }] of asked.entries()) {
      const values = { tenant_id: tenant.id, own_ids, now };
      const few = await tx.one(sql.balances_read, { ...values, account_ids: own_ids }, SumsSchema);
      const many = await tx.one(sql.balances_read, { ...values, account_ids: crowd }, SumsSchema);
      const all = await tx.one(sql.current_read, { tenant_id: tenant.id, now }, SumsSchema);
      expect([few, many, all]).toEqual([counted[index], counted[index], counted[index]]);
    }
  });
});

/** `number debits credits`, of a line that goes on with what is held */
function withoutHeld(line: string): string {
  return line.split(' ').slice(0, 3).join(' ');
}

test('at any instant of the past, on both axes', async () => {
  const tenant = await aPast((api) => randomBooks(api, 6, 900));
  const [asked] = await asSuperuser(QuestionsSchema, questions, [tenant.id, 211]);
  const [counted] = await asSuperuser(SumsSchema, recount_past, [tenant.id, asked?.questions]);
  await betweenSlices(tenant, 310, async (tx) => {
    const read = await tx.one(
      sql.past_read,
      { tenant_id: tenant.id, questions: asked?.questions },
      SumsSchema,
    );
    expect(read).toEqual(counted);
    // All accounts at once, without what is held
    const posted = await tx.one(
      sql.posted_read,
      { tenant_id: tenant.id, questions: asked?.questions },
      SumsSchema,
    );
    expect(posted.sums.split(', ')).toEqual(counted?.sums.split(', ').map(withoutHeld));
  });
});

test('of an account whose dated entries fill blocks of several levels', async () => {
  const tenant = await aPast(severalLevels);
  const [asked] = await asSuperuser(QuestionsSchema, questions, [tenant.id, 1_100]);
  const [counted] = await asSuperuser(SumsSchema, recount_past, [tenant.id, asked?.questions]);
  await betweenSlices(tenant, 3_000, async (tx) => {
    const values = { tenant_id: tenant.id, questions: asked?.questions };
    expect(await tx.one(sql.past_read, values, SumsSchema)).toEqual(counted);
  });
  const [levels] = await asSuperuser(
    SumsSchema,
    `select string_agg(distinct level || case when expires then ' with expiries' else '' end, ', ') as sums
     from projection.dated_blocks_v where tenant_id = $1`,
    [tenant.id],
  );
  expect(levels?.sums).toBe('0, 0 with expiries, 1, 1 with expiries, 2 with expiries');
});
