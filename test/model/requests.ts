// Makes requests of intents: which account, transaction, amount and instant an intent means depends on what the ledger holds by then.
import type { Command } from './api.ts';
import type { Intent, ItemIntent, Leg, Moment, Part, PostIntent, Saying, Target } from './commands.ts';
import { type Entry, total } from './facts.ts';
import { sentText } from './instant.ts';
import type { ReferenceLedger } from './ledger.ts';

/** The accounts of every history; by currency, so that most legs balance. Limits are tight, so that they are met. */
export const account_groups = [
  [
    { code: 'world', type: 'asset', currency: 'EUR' },
    { code: 'customers:a', type: 'liability', currency: 'EUR', limits: { available_min: '0' } },
    {
      code: 'customers:b',
      type: 'liability',
      currency: 'EUR',
      limits: { available_min: '-100', posted_max: '500' },
    },
    { code: 'cash', type: 'asset', currency: 'EUR', limits: { available_min: '0', posted_max: '300' } },
    { code: 'fees:card', type: 'revenue', currency: 'EUR' },
    { code: 'losses', type: 'expense', currency: 'EUR', limits: { posted_max: '200' } },
  ],
  [
    { code: 'jp:world', type: 'equity', currency: 'JPY' },
    { code: 'jp:a', type: 'liability', currency: 'JPY', limits: { available_min: '0' } },
    { code: 'jp:cash', type: 'asset', currency: 'JPY' },
  ],
  [
    { code: 'wei:pool', type: 'asset', currency: 'WEI' },
    { code: 'wei:a', type: 'liability', currency: 'WEI', limits: { available_min: '0' } },
  ],
] as const;

const unknown_transaction = 'txn_01h455vb4pex5vsknk084sn02q';
const unknown_account = 'acc_01h455vb4pex5vsknk084sn02q';

/** What the accounts start with, so that there is something to move. */
export const opening_bulk = {
  transactions: [
    ['world', 'customers:a', '400'],
    ['world', 'customers:b', '200'],
    ['cash', 'world', '150'],
    ['jp:cash', 'jp:a', '1000'],
    ['wei:pool', 'wei:a', '5'.repeat(30)],
  ].map(([debit, credit, amount]) => ({
    entries: [
      { account: debit, direction: 'debit', amount },
      { account: credit, direction: 'credit', amount },
    ],
  })),
};

interface Asked {
  ledger: ReferenceLedger;
  now: bigint;
}

/** What an intent that commands something commands; null when there is nothing it could mean yet. */
export function commandOf(intent: Intent, asked: Asked): Command | null {
  const accounts = [...asked.ledger.accounts.values()];
  const accountAt = (n: number) => accounts[n % accounts.length]?.code ?? 'nobody';
  switch (intent.does) {
    case 'item':
      return itemCommand(intent.item, asked);
    case 'bulk': {
      const transactions = intent.items.map(({ item, key }) => ({
        ...bulkItem(item, asked),
        ...(key === null ? {} : { idempotency_key: `item-${key}` }),
      }));
      return {
        verb: 'bulk',
        body: { ...(intent.atomic === null ? {} : { atomic: intent.atomic }), transactions },
      };
    }
    case 'close':
      return { verb: 'close_account', account: accountAt(intent.account) };
    case 'reopen': {
      const closed = accounts.filter((account) => account.status === 'closed');
      const account = closed[intent.account % Math.max(1, closed.length)];
      return { verb: 'reopen_account', account: account?.id ?? accountAt(intent.account) };
    }
    case 'limit': {
      const { available_min, posted_max } = intent;
      return {
        verb: 'update_account',
        account: accountAt(intent.account),
        body: {
          limits: {
            ...(available_min === null ? {} : { available_min }),
            ...(posted_max === null ? {} : { posted_max }),
          },
        },
      };
    }
    case 'open':
      return {
        verb: 'create_account',
        body: { code: `opened:${intent.number}`, type: 'liability', currency: intent.currency },
      };
    default:
      return null;
  }
}

function itemCommand(item: ItemIntent, asked: Asked): Command | null {
  if (item.does === 'post') return { verb: 'post', body: postBody(item, asked) };
  const transaction = transactionAt(item.target, asked);
  if (transaction === null) return null;
  return { verb: item.does, transaction, body: bodyOnTransaction(item, transaction, asked) };
}

/** An item of a bulk request; what would follow up on nothing yet follows up on an unknown transaction. */
function bulkItem(item: ItemIntent, asked: Asked): Record<string, unknown> {
  if (item.does === 'post') return postBody(item, asked);
  const field = { capture: 'capture_of', void: 'void_of', reverse: 'reversal_of' }[item.does];
  const transaction = transactionAt(item.target, asked) ?? unknown_transaction;
  return { ...bodyOnTransaction(item, transaction, asked), [field]: transaction };
}

function bodyOnTransaction(item: Exclude<ItemIntent, PostIntent>, id: string, asked: Asked) {
  const transaction = asked.ledger.transactions.get(id);
  switch (item.does) {
    case 'void':
      return {};
    case 'capture': {
      const left = transaction === undefined ? [] : asked.ledger.remaining(id);
      return {
        ...partBody(left, item.part, item.saying, asked.ledger),
        ...(item.final ? { final: true } : {}),
        ...describedBody(item, asked),
      };
    }
    case 'reverse': {
      const left = transaction === undefined ? [] : asked.ledger.unreversed(transaction);
      return {
        ...partBody(left, item.part, item.saying, asked.ledger),
        ...(item.force ? { force: true } : {}),
        ...describedBody(item, asked),
      };
    }
  }
}

function describedBody(item: { effective: Moment | null; reference: number | null }, asked: Asked) {
  return {
    ...(item.effective === null ? {} : { effective_at: sentText(momentOf(item.effective, asked)) }),
    ...(item.reference === null ? {} : { reference: `r${item.reference}` }),
  };
}

/** How much a capture or a reversal takes of what is left. */
function partBody(left: Entry[], part: Part, saying: Saying, ledger: ReferenceLedger) {
  if (part === 'unsaid') return {};
  const two = saying === 'two_entries' ? pairOf(left, ledger) : null;
  if (saying === 'amount' || left.length === 0) {
    return { amount: share(smallestOf(left), part).toString() };
  }
  return { entries: sharedEntries(two ?? left, part, ledger) };
}

/** The last debit and credit in one currency, each with what both have. */
function pairOf(left: Entry[], ledger: ReferenceLedger): Entry[] | null {
  const currency = (entry: Entry) => ledger.knownAccount(entry.account_id).currency;
  const debit = left.findLast((entry) => entry.direction === 'debit');
  if (debit === undefined) return null;
  const credit = left.findLast(
    (entry) => entry.direction === 'credit' && currency(entry) === currency(debit),
  );
  if (credit === undefined) return null;
  const amount = smallestOf([debit, credit]);
  return [
    { ...debit, amount },
    { ...credit, amount },
  ];
}

function smallestOf(entries: Entry[]): bigint {
  return entries.map((entry) => entry.amount).sort((a, b) => (a < b ? -1 : 1))[0] ?? 100n;
}

/** A share of each entry; of several in one currency the last ones take what rounding leaves, so that they balance. */
function sharedEntries(left: Entry[], part: Part, ledger: ReferenceLedger) {
  const taken = left.map((entry) => ({ ...entry, amount: share(entry.amount, part) }));
  const currencies = new Set(left.map((entry) => ledger.knownAccount(entry.account_id).currency));
  for (const currency of currencies) {
    const of_currency = taken.filter((entry) => ledger.knownAccount(entry.account_id).currency === currency);
    const side = (direction: string) => of_currency.filter((entry) => entry.direction === direction);
    const sum = (direction: string) => total(side(direction).map((entry) => entry.amount));
    const difference = sum('debit') - sum('credit');
    const short = side(difference > 0n ? 'credit' : 'debit').at(-1);
    if (short !== undefined) short.amount += difference > 0n ? difference : -difference;
  }
  return taken.map((entry) => ({
    account: ledger.knownAccount(entry.account_id).code,
    direction: entry.direction,
    amount: entry.amount.toString(),
  }));
}

function share(left: bigint, part: Part): bigint {
  if (part === 'unsaid') return left;
  if (part === 'one_more') return left + 1n;
  const amount = (left * BigInt(part.percent)) / 100n;
  return amount > 0n ? amount : 1n;
}

/** Null when nothing of that kind is there yet. */
function transactionAt({ kind, of }: Target, { ledger, now }: Asked): string | null {
  if (kind === 'unknown') return unknown_transaction;
  const all = [...ledger.transactions.values()].filter((transaction) => {
    if (kind === 'any') return true;
    if (kind === 'pending')
      return transaction.kind === 'hold' && ledger.holdStatus(transaction, now) === 'pending';
    return transaction.kind === kind;
  });
  return all.at(-1 - (of % Math.max(1, all.length)))?.id ?? null;
}

export function momentOf(moment: Moment, { ledger, now }: Asked): bigint {
  if (moment.relative_to === 'now') return now + BigInt(moment.offset_us);
  const all = [...ledger.transactions.values()];
  const transaction = all.at(-1 - (moment.of % Math.max(1, all.length)));
  return (transaction?.[moment.relative_to] ?? now) + BigInt(moment.offset_us);
}

function postBody(intent: PostIntent, asked: Asked): Record<string, unknown> {
  const entries = [
    ...intent.legs.flatMap((leg) => legEntries(intent, intent.group, leg, asked.ledger)),
    ...(intent.exchange === null ? [] : legEntries(intent, intent.group + 1, intent.exchange, asked.ledger)),
  ];
  return {
    entries: withFault(intent.fault, entries),
    ...(intent.pending ? { status: 'pending' } : {}),
    // Now and then an expiry on a posted transaction, which is refused
    ...(intent.pending || intent.fault === 'field_unknown' ? expiryOf(intent, asked.now) : {}),
    ...describedBody(intent, asked),
    ...(intent.order === null ? {} : { metadata: { order: intent.order } }),
  };
}

function expiryOf({ expiry }: PostIntent, now: bigint): Record<string, unknown> {
  if (expiry === null) return {};
  if (expiry === 'both') return { expires_in_seconds: 60, expires_at: sentText(now + 60_000_000n) };
  if ('in_seconds' in expiry) return { expires_in_seconds: expiry.in_seconds };
  return { expires_at: sentText(now + BigInt(expiry.at_offset_us)) };
}

/** As sent, and so possibly wrong. */
interface EntryBody {
  account: string;
  direction: string;
  amount: unknown;
  currency?: string;
  colour?: string;
}

function legEntries(intent: PostIntent, group: number, leg: Leg, ledger: ReferenceLedger): EntryBody[] {
  const accounts = account_groups[group % account_groups.length] ?? account_groups[0];
  const side = (n: number, direction: string): EntryBody => {
    const account = accounts[n % accounts.length] ?? accounts[0];
    return {
      account: intent.by_id ? (ledger.account(account.code)?.id ?? account.code) : account.code,
      direction,
      amount: leg.amount,
      ...(intent.currency_said ? { currency: account.currency } : {}),
    };
  };
  return [side(leg.from, 'debit'), side(leg.from + leg.hop, 'credit')];
}

/** The same entries, wrong in one way in the last of them. */
function withFault(fault: PostIntent['fault'], entries: EntryBody[]): EntryBody[] {
  const last = entries.at(-1);
  const others = entries.slice(0, -1);
  if (last === undefined) return entries;
  const wrong: Record<
    Exclude<PostIntent['fault'], 'none' | 'one_entry' | 'total_39_digits'>,
    Partial<EntryBody>
  > = {
    unbalanced: { amount: `${last.amount}0` },
    account_unknown: { account: 'nobody:here' },
    id_unknown: { account: unknown_account },
    currency_wrong: { currency: 'USD' },
    amount_zero: { amount: '0' },
    amount_negative: { amount: '-5' },
    amount_number: { amount: 5 },
    amount_39_digits: { amount: '1'.repeat(39) },
    field_unknown: { colour: 'blue' },
    direction_unknown: { direction: 'left' },
  };
  if (fault === 'none') return entries;
  if (fault === 'one_entry') return [last];
  if (fault === 'total_39_digits') {
    return [...entries, ...entries].map((entry) => ({ ...entry, amount: '9'.repeat(38) }));
  }
  return [...others, { ...last, ...wrong[fault] }];
}

export interface Request {
  method: 'POST' | 'PATCH';
  path: string;
  body: unknown;
}

export function requestOf(command: Command, dry_run: boolean): Request {
  const query = dry_run ? '?dry_run=true' : '';
  switch (command.verb) {
    case 'create_account':
      return { method: 'POST', path: '/v1/accounts', body: command.body };
    case 'update_account':
      return { method: 'PATCH', path: `/v1/accounts/${command.account}`, body: command.body };
    case 'close_account':
      return { method: 'POST', path: `/v1/accounts/${command.account}/closure`, body: {} };
    case 'reopen_account':
      return { method: 'POST', path: `/v1/accounts/${command.account}/reopening`, body: {} };
    case 'post':
      return { method: 'POST', path: `/v1/transactions${query}`, body: command.body };
    case 'bulk':
      return { method: 'POST', path: `/v1/transactions/bulk${query}`, body: command.body };
    case 'capture':
      return {
        method: 'POST',
        path: `/v1/transactions/${command.transaction}/capture${query}`,
        body: command.body,
      };
    case 'void':
      return {
        method: 'POST',
        path: `/v1/transactions/${command.transaction}/void${query}`,
        body: command.body,
      };
    case 'reverse':
      return {
        method: 'POST',
        path: `/v1/transactions/${command.transaction}/reversal${query}`,
        body: command.body,
      };
  }
}
