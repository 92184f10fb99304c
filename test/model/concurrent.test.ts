// Many clients at once against few accounts. Afterwards the log is replayed, event by event, through the model.
import { expect, inject, test } from 'vitest';
import { z } from 'zod';
import { aTenant, type TestTenant } from '../support/factories.ts';
import { startServer } from '../support/server.ts';
import { BalanceAnswer, EventPage, type EventShape, receiptOf } from './answers.ts';
import { ReferenceApi } from './api.ts';
import { balanceOf } from './balances.ts';
import { crowd_accounts, runCrowd } from './crowd.ts';
import { judge } from './history.ts';
import { clockNow, parseInstant } from './instant.ts';
import { Wire } from './wire.ts';

const server = await startServer();
const { FC_SEED } = process.env;
const seed = FC_SEED === undefined ? Date.now() % 1_000_000_000 : Number(FC_SEED);

test(`what many clients do at once, the model would have done in the order of the log (seed ${seed})`, async () => {
  const tenant = await aTenant();
  const api = server.client(tenant.api_key);
  for (const account of crowd_accounts) await api.post('/v1/accounts', account);
  const wire = new Wire(server.url, tenant.api_key, 40);
  const commands_each = inject('fault_rounds') === 1 ? 20 : 40 * inject('fault_rounds');
  const crowd = runCrowd(wire, { clients: 32, commands_each, seed, name: 'crowd' });
  const snapshots = await whilePending(crowd, () => trialBalance(wire));
  const attempts = await crowd;
  await wire.close();
  expect(snapshots.filter(({ debits, credits }) => debits !== credits)).toEqual([]);
  expect(snapshots.length).toBeGreaterThan(5);
  expect(attempts.filter((attempt) => attempt.status >= 500)).toEqual([]);

  const events = await readLog(tenant);
  const model = new ReferenceApi(new Map([['EUR', 2]]));
  const opened = events.findLastIndex((event) => event.type === 'ledger.account_created') + 1;
  for (const event of events.slice(0, opened)) recordAccount(model, event);
  const { violations, accepted, refused } = judge(model, events.slice(opened), attempts);
  expect(violations).toEqual([]);
  expect(accepted).toBeGreaterThan(attempts.length / 4);
  expect(refused).toBeGreaterThan(attempts.length / 10);

  for (const account of model.ledger.accounts.values()) {
    const now = clockNow();
    const answer = (await api.get(`/v1/accounts/${account.code}/balance`)).as(BalanceAnswer);
    const expected = balanceOf(model.ledger, account, { now, as_of: null, known_at: null });
    expect([account.code, answer.posted.balance]).toEqual([account.code, expected.balance.toString()]);
  }
}, 600_000);

/** Repeats `look` until `work` is done. */
async function whilePending<Seen>(work: Promise<unknown>, look: () => Promise<Seen[]>): Promise<Seen[]> {
  let done = false;
  const end = work.finally(() => {
    done = true;
  });
  const seen: Seen[] = [];
  while (!done) seen.push(...(await look()));
  await end;
  return seen;
}

const TrialBalance = z.looseObject({
  totals: z.array(z.looseObject({ currency: z.string(), debits: z.string(), credits: z.string() })),
});

async function trialBalance(wire: Wire) {
  const answer = await wire.send('GET', '/v1/trial_balance');
  return TrialBalance.parse(JSON.parse(answer.text)).totals;
}

/** The whole log; its positions are 1, 2, 3 … */
async function readLog(tenant: TestTenant): Promise<EventShape[]> {
  const api = server.client(tenant.api_key);
  const events: EventShape[] = [];
  for (;;) {
    const page = (await api.get(`/v1/events?after=${events.length}&limit=200`)).as(EventPage);
    events.push(...page.data);
    if (!page.has_more) break;
  }
  expect(events.map((event) => event.position)).toEqual(events.map((_, i) => i + 1));
  const recorded = events.map((event) => parseInstant(event.recorded_at));
  expect(recorded.filter((instant, i) => i > 0 && instant < (recorded[i - 1] ?? 0n))).toEqual([]);
  return events;
}

function recordAccount(model: ReferenceApi, event: EventShape): void {
  const body = crowd_accounts.find((account) => account.code === event.data.code);
  if (body === undefined) return;
  const outcome = model.decide({ verb: 'create_account', body }, 0n);
  if (outcome.kind !== 'accepted') throw new Error(`the model refuses ${body.code}`);
  model.record(outcome.effect, receiptOf(event));
}
