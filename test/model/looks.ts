// Looks at the ledger from random viewpoints, in the product and in the model.
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { BalanceAnswer } from './answers.ts';
import {
  type Balance,
  balanceOf,
  rollUp,
  statementOf,
  totalsOf,
  trialBalance,
  type Viewpoint,
} from './balances.ts';
import type { Filter, Look, View } from './commands.ts';
import type { Account, Transaction } from './facts.ts';
import { clockNow, sentText } from './instant.ts';
import { instantsBetween } from './ledger.ts';
import type { Play } from './play.ts';
import { momentOf } from './requests.ts';

export async function lookAt(play: Play, look: Look): Promise<void> {
  switch (look.at) {
    case 'balance':
      return lookAtBalance(play, look);
    case 'trial_balance':
      return lookAtTrialBalance(play, look);
    case 'statement':
      return lookAtStatement(play, look);
    case 'roll_up':
      return lookAtRollUp(play, look);
    case 'list':
      return lookAtList(play, look);
  }
}

type LookAt<At extends Look['at']> = Extract<Look, { at: At }>;

async function lookAtBalance(play: Play, look: LookAt<'balance'>): Promise<void> {
  const { ledger } = play.api;
  const account = accountAt(play, look.account);
  const asked = { ledger, now: clockNow() };
  const view = viewOf(play, look, asked.now);
  const path = `/v1/accounts/${account.code}/balance?${queryOf(view)}`;
  play.count(`balance${view.as_of === null ? '' : ' as_of'}${view.known_at === null ? '' : ' known_at'}`);
  await compare(
    play,
    path,
    (body) => {
      const { posted, pending, available } = BalanceAnswer.parse(body);
      return { ...posted, ...pending, available };
    },
    (now) => amounts(balanceOf(ledger, account, { ...view, now })),
  );
}

const TrialBalanceAnswer = z.looseObject({
  totals: z.array(
    z.strictObject({ currency: z.string(), scale: z.number(), debits: z.string(), credits: z.string() }),
  ),
  data: z.array(
    z.looseObject({ code: z.string(), currency: z.string(), debit: z.string(), credit: z.string() }),
  ),
});

async function lookAtTrialBalance(play: Play, look: LookAt<'trial_balance'>): Promise<void> {
  const { ledger } = play.api;
  const view = viewOf(play, look, clockNow());
  const path = `/v1/trial_balance?limit=200&${queryOf(view)}`;
  play.count('trial_balance');
  await compare(
    play,
    path,
    (body) => {
      const { totals, data } = TrialBalanceAnswer.parse(body);
      return {
        totals: Object.fromEntries(
          totals.map(({ currency, debits, credits }) => [currency, { debits, credits }]),
        ),
        data: data.map(({ code, currency, debit, credit }) => ({ code, currency, debit, credit })),
      };
    },
    (now) => ({
      totals: Object.fromEntries(
        [...totalsOf(ledger, { ...view, now })].map(([currency, sums]) => [currency, texts(sums)]),
      ),
      data: trialBalance(ledger, { ...view, now }).map(texts),
    }),
  );
}

const StatementAnswer = z.looseObject({
  transaction_id: z.string(),
  position: z.number(),
  direction: z.enum(['debit', 'credit']),
  amount: z.string(),
  balance: z.string(),
});

async function lookAtStatement(play: Play, look: LookAt<'statement'>): Promise<void> {
  const { ledger } = play.api;
  const account = accountAt(play, look.account);
  const from = look.from === null ? null : momentOf(look.from, { ledger, now: clockNow() });
  const query = new URLSearchParams({ order: look.newest_first ? 'desc' : 'asc', limit: String(look.limit) });
  if (from !== null) query.set('effective_at[gte]', sentText(from));
  const path = `/v1/accounts/${account.code}/entries?${query}`;
  play.count('statement');
  const read = await readPages(play, path, StatementAnswer);
  const lines = statementOf(ledger, account).filter((line) => from === null || line.effective_at >= from);
  const expected = (look.newest_first ? lines.reverse() : lines).map(({ effective_at: _, ...line }) =>
    texts(line),
  );
  const shown = read.map(({ transaction_id, position, direction, amount, balance }) => ({
    ...{ transaction_id, position, direction, amount, balance },
  }));
  if (!isDeepStrictEqual(shown, expected)) play.fail(path, shown, expected);
}

const RollUpAnswer = z.looseObject({
  group: z.string(),
  currency: z.string(),
  account_count: z.number(),
  normal_side: z.enum(['debit', 'credit']),
  posted: BalanceAnswer.shape.posted,
  pending: BalanceAnswer.shape.pending,
  available: z.string(),
});

async function lookAtRollUp(play: Play, look: LookAt<'roll_up'>): Promise<void> {
  const { prefix, group_by } = look;
  const view = viewOf(play, look, clockNow());
  const query = queryOf(view);
  query.set('group_by', group_by);
  query.set('limit', '200');
  if (prefix !== '') query.set('code_prefix', prefix);
  play.count(`roll_up${view.as_of === null && view.known_at === null ? '' : ' of the past'}`);
  await compare(
    play,
    `/v1/balances?${query}`,
    (body) => {
      const groups = z.looseObject({ data: z.array(RollUpAnswer) }).parse(body).data;
      return keyed(
        groups.map(({ group, currency, account_count, normal_side, posted, pending, available }) => ({
          ...{ group, currency, account_count, normal_side, balance: { ...posted, ...pending, available } },
        })),
      );
    },
    (now) =>
      keyed(
        rollUp(play.api.ledger, prefix, group_by, { ...view, now }).map((group) => ({
          ...group,
          balance: amounts(group.balance),
        })),
      ),
  );
}

function keyed<Group extends { group: string; currency: string }>(groups: Group[]): Record<string, Group> {
  return Object.fromEntries(groups.map((group) => [`${group.group} ${group.currency}`, group]));
}

async function lookAtList(play: Play, { filter, limit }: LookAt<'list'>): Promise<void> {
  const { ledger } = play.api;
  const account = filter.account === null ? null : accountAt(play, filter.account);
  const effective_from =
    filter.effective_from === null ? null : momentOf(filter.effective_from, { ledger, now: clockNow() });
  const query = new URLSearchParams({ limit: String(limit) });
  if (account !== null) query.set('account', account.code);
  if (filter.account_prefix !== null && filter.account_prefix !== '')
    query.set('account_prefix', filter.account_prefix);
  if (filter.status !== null) query.set('status', filter.status);
  if (filter.reference !== null) query.set('reference', `r${filter.reference}`);
  if (filter.order !== null) query.set('metadata[order]', filter.order);
  if (effective_from !== null) query.set('effective_at[gte]', sentText(effective_from));
  if (filter.amount_up_to !== null) query.set('amount[lte]', filter.amount_up_to);
  const path = `/v1/transactions?${query}`;
  play.count('list');
  const from = clockNow();
  const read = (await readPages(play, path, z.looseObject({ id: z.string() }))).map(({ id }) => id);
  const expected = instantsBetween(ledger, from, clockNow() + 1_000n).map((now) =>
    [...ledger.transactions.values()]
      .filter((transaction) => isListed(play, transaction, filter, account, effective_from, now))
      .map((transaction) => transaction.id)
      .reverse(),
  );
  if (!expected.some((ids) => isDeepStrictEqual(read, ids))) play.fail(path, read, expected[0]);
}

function isListed(
  play: Play,
  transaction: Transaction,
  filter: Filter,
  account: Account | null,
  effective_from: bigint | null,
  now: bigint,
): boolean {
  const { ledger } = play.api;
  const { entries } = transaction;
  const status = transaction.kind === 'posted' ? 'posted' : ledger.holdStatus(transaction, now);
  const codes = entries.map((entry) => ledger.knownAccount(entry.account_id).code);
  const { account_prefix, reference, order, amount_up_to } = filter;
  return (
    (account === null || codes.includes(account.code)) &&
    (account_prefix === null || codes.some((code) => code.startsWith(account_prefix))) &&
    (filter.status === null || status === filter.status) &&
    (reference === null || transaction.reference === `r${reference}`) &&
    (order === null || transaction.metadata.order === order) &&
    (effective_from === null || transaction.effective_at >= effective_from) &&
    (amount_up_to === null || entries.some((entry) => entry.amount <= BigInt(amount_up_to)))
  );
}

/** Reads once and compares with what the model says at some instant while it was read. */
async function compare(
  play: Play,
  path: string,
  read: (body: unknown) => unknown,
  expect: (now: bigint) => unknown,
): Promise<void> {
  const from = clockNow();
  const answer = await play.client.get(path);
  const until = clockNow() + 1_000n;
  play.note(`GET ${path}\n  → ${answer.status} ${answer.text}`);
  const shown = read(answer.body);
  const expected = instantsBetween(play.api.ledger, from, until).map(expect);
  if (!expected.some((each) => isDeepStrictEqual(each, shown))) play.fail(path, shown, expected[0]);
}

/** All pages of a list. */
async function readPages<Item extends z.ZodType>(
  play: Play,
  path: string,
  item: Item,
): Promise<z.infer<Item>[]> {
  const Page = z.looseObject({
    data: z.array(item),
    has_more: z.boolean(),
    next_cursor: z.string().nullable(),
  });
  const items: z.infer<Item>[] = [];
  for (let cursor = ''; ; ) {
    const answer = await play.client.get(`${path}${cursor}`);
    play.note(`GET ${path}${cursor}\n  → ${answer.status} ${answer.text}`);
    const page = Page.parse(answer.body);
    items.push(...page.data);
    if (!page.has_more || page.next_cursor === null) return items;
    cursor = `&cursor=${encodeURIComponent(page.next_cursor)}`;
  }
}

function accountAt(play: Play, n: number): Account {
  const accounts = [...play.api.ledger.accounts.values()];
  const account = accounts[n % accounts.length];
  if (account === undefined) throw new Error('there are no accounts to look at');
  return account;
}

function viewOf(play: Play, view: View, now: bigint): Omit<Viewpoint, 'now'> {
  const asked = { ledger: play.api.ledger, now };
  return {
    as_of: view.as_of === null ? null : momentOf(view.as_of, asked),
    known_at: knownAt(play, view, now),
  };
}

function knownAt(play: Play, { known_at }: View, now: bigint): Viewpoint['known_at'] {
  if (known_at === null) return null;
  if ('position_back' in known_at) {
    const position = Math.max(1, play.position - known_at.position_back);
    const recorded_at = play.recorded.get(position);
    return recorded_at === undefined ? null : { position, recorded_at };
  }
  return { instant: momentOf(known_at, { ledger: play.api.ledger, now }) };
}

function queryOf({ as_of, known_at }: Omit<Viewpoint, 'now'>): URLSearchParams {
  const query = new URLSearchParams();
  if (as_of !== null) query.set('as_of', sentText(as_of));
  if (known_at !== null) {
    query.set('known_at', 'position' in known_at ? String(known_at.position) : sentText(known_at.instant));
  }
  return query;
}

function amounts(balance: Balance) {
  return texts(balance);
}

/** The same with amounts as text. */
function texts<Facts extends object>(facts: Facts): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(facts).map(([name, value]) => [
      name,
      typeof value === 'bigint' ? value.toString() : value,
    ]),
  );
}
