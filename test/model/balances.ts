// What the ledger says about the past: balances on both time axes, roll-ups, statements, the trial balance. Counted anew from the
// transactions each time.
import {
  type Account,
  type Entry,
  normalSide,
  opposite,
  type Side,
  type Transaction,
  total,
} from './facts.ts';
import type { ReferenceLedger } from './ledger.ts';
import { signed } from './postings.ts';

/** What is asked about: effective until, and known at (an instant, or a position with the instant at which it was recorded). */
export interface Viewpoint {
  now: bigint;
  as_of: bigint | null;
  known_at: { instant: bigint } | { position: number; recorded_at: bigint } | null;
}

export interface Balance {
  debits: bigint;
  credits: bigint;
  balance: bigint;
  out: bigint;
  in: bigint;
  available: bigint;
}

interface Recorded {
  position: number;
  recorded_at: bigint;
  effective_at: bigint;
}

function counts(view: Viewpoint, recorded: Recorded): boolean {
  if (view.as_of !== null && recorded.effective_at > view.as_of) return false;
  if (view.known_at === null) return true;
  return 'position' in view.known_at
    ? recorded.position <= view.known_at.position
    : recorded.recorded_at <= view.known_at.instant;
}

/** The instant at which a hold must not have expired to count. */
function instantOf(view: Viewpoint): bigint {
  if (view.as_of !== null) return view.as_of;
  if (view.known_at === null) return view.now;
  return 'position' in view.known_at ? view.known_at.recorded_at : view.known_at.instant;
}

/** What a hold still holds, seen from a viewpoint. */
function heldBy(ledger: ReferenceLedger, hold: Transaction, view: Viewpoint): Entry[] {
  if (!counts(view, hold)) return [];
  if (hold.expires_at !== null && hold.expires_at <= instantOf(view)) return [];
  const released = (ledger.releases.get(hold.id) ?? []).filter((release) => counts(view, release));
  return [
    ...hold.entries,
    ...released.flatMap((release) => release.entries.map((entry) => ({ ...entry, amount: -entry.amount }))),
  ];
}

export function balanceOf(ledger: ReferenceLedger, account: Account, view: Viewpoint): Balance {
  const posted: Entry[] = [];
  const pending: Entry[] = [];
  for (const transaction of ledger.transactions.values()) {
    if (transaction.kind === 'hold') pending.push(...heldBy(ledger, transaction, view));
    else if (counts(view, transaction)) posted.push(...transaction.entries);
  }
  const normal = normalSide(account.type);
  const sum = (entries: Entry[], direction: Side) =>
    total(
      entries.flatMap((entry) =>
        entry.account_id === account.id && entry.direction === direction ? [entry.amount] : [],
      ),
    );
  const debits = sum(posted, 'debit');
  const credits = sum(posted, 'credit');
  const balance = normal === 'debit' ? debits - credits : credits - debits;
  const out = sum(pending, opposite(normal));
  return { debits, credits, balance, out, in: sum(pending, normal), available: balance - out };
}

export interface StatementLine {
  transaction_id: string;
  position: number;
  effective_at: bigint;
  direction: Side;
  amount: bigint;
  balance: bigint;
}

/** Posted entries of one account in the order of the log, each with the balance after it. */
export function statementOf(ledger: ReferenceLedger, account: Account): StatementLine[] {
  const lines: StatementLine[] = [];
  let balance = 0n;
  for (const transaction of ledger.transactions.values()) {
    if (transaction.kind === 'hold') continue;
    for (const entry of transaction.entries) {
      if (entry.account_id !== account.id) continue;
      balance += signed(entry, normalSide(account.type));
      const { id: transaction_id, position, effective_at } = transaction;
      const { direction, amount } = entry;
      lines.push({ transaction_id, position, effective_at, direction, amount, balance });
    }
  }
  return lines;
}

/** Accounts taken together: by currency always, and by type or by the next segment of their code. */
export interface Group {
  group: string;
  currency: string;
  account_count: number;
  normal_side: Side;
  balance: Balance;
}

export type GroupBy = 'currency' | 'type' | 'segment';

export function rollUp(ledger: ReferenceLedger, prefix: string, by: GroupBy, view: Viewpoint): Group[] {
  const members = new Map<string, Account[]>();
  for (const account of ledger.accounts.values()) {
    if (!account.code.startsWith(prefix)) continue;
    const key = `${groupOf(account, prefix, by)} ${account.currency}`;
    members.set(key, [...(members.get(key) ?? []), account]);
  }
  return [...members.values()].flatMap((accounts) => {
    const [first] = accounts;
    if (first === undefined) return [];
    const sides = new Set(accounts.map((account) => normalSide(account.type)));
    const normal_side = sides.size === 1 ? normalSide(first.type) : 'debit';
    return [
      {
        group: groupOf(first, prefix, by),
        currency: first.currency,
        account_count: accounts.length,
        normal_side,
        balance: summed(
          accounts.map((account) => ({
            normal: normalSide(account.type),
            balance: balanceOf(ledger, account, view),
          })),
          normal_side,
        ),
      },
    ];
  });
}

function groupOf(account: Account, prefix: string, by: GroupBy): string {
  if (by === 'currency') return account.currency;
  if (by === 'type') return account.type;
  const end = account.code.indexOf(':', prefix.length);
  return end < 0 ? account.code : account.code.slice(0, end);
}

/** Balances of several accounts in one direction, which need not be that of each of them. */
function summed(members: { normal: Side; balance: Balance }[], normal: Side): Balance {
  const sum = (pick: (balance: Balance) => bigint) => total(members.map(({ balance }) => pick(balance)));
  const debits = sum(({ debits }) => debits);
  const credits = sum(({ credits }) => credits);
  const held = (side: Side) =>
    total(members.map((member) => (member.normal === side ? member.balance.in : member.balance.out)));
  const balance = normal === 'debit' ? debits - credits : credits - debits;
  const out = held(opposite(normal));
  return { debits, credits, balance, out, in: held(normal), available: balance - out };
}

export interface TrialLine {
  code: string;
  currency: string;
  debit: bigint;
  credit: bigint;
}

/** Each account that does not come to zero, in the column of its side; in the order of codes. */
export function trialBalance(ledger: ReferenceLedger, view: Viewpoint): TrialLine[] {
  const lines = [...ledger.accounts.values()].flatMap((account) => {
    const { debits, credits } = balanceOf(ledger, account, view);
    const net = debits - credits;
    const { code, currency } = account;
    if (net === 0n) return [];
    return [{ code, currency, debit: net > 0n ? net : 0n, credit: net < 0n ? -net : 0n }];
  });
  return lines.sort((a, b) => (a.code < b.code ? -1 : 1));
}

/** currency → the totals of both columns */
export function totalsOf(
  ledger: ReferenceLedger,
  view: Viewpoint,
): Map<string, { debits: bigint; credits: bigint }> {
  const totals = new Map<string, { debits: bigint; credits: bigint }>();
  for (const account of ledger.accounts.values()) totals.set(account.currency, { debits: 0n, credits: 0n });
  for (const { currency, debit, credit } of trialBalance(ledger, view)) {
    const before = totals.get(currency);
    totals.set(currency, {
      debits: (before?.debits ?? 0n) + debit,
      credits: (before?.credits ?? 0n) + credit,
    });
  }
  return totals;
}
