// What can happen to a transaction that is in the ledger: a hold is captured, voided or expires, a posting is reversed.
// Each reads its target as found, and becomes a draft that is written only if the target is still so.
import { Problem } from '../../errors.ts';
import { encodeId } from '../../id.ts';
import { compareInstants } from '../../instant.ts';
import type { ResolvedAccount } from './account_cache.ts';
import {
  checkAccounts,
  checkBalance,
  type Draft,
  type DraftEntry,
  type DraftTarget,
  entriesJson,
  factsJson,
  type Resolve,
  resolveEntries,
  singleTotal,
} from './draft.ts';
import {
  newestFollowUps,
  renderTransaction,
  type StoredTransaction,
  statusAt,
  transactionState,
} from './stored_transaction.ts';
import type { CaptureRequest, Direction, ReversalRequest } from './transaction_schema.ts';

type Exceeds = 'capture_exceeds_hold' | 'reversal_exceeds_transaction';

interface Ids {
  /** uuid of the transaction that the follow-up makes, if it makes one */
  transaction_id: string;
  /** TypeID */
  actor: string;
}

/** What is left of a transaction on one account and side. */
interface Line {
  account: ResolvedAccount;
  direction: Direction;
  left: bigint;
}

const opposite = { debit: 'credit', credit: 'debit' } as const;

/**
 * transaction_not_pending, account_not_found, currency_mismatch, entries_unbalanced, capture_exceeds_hold, entries_required,
 * accounts_must_differ, account_closed, amount_too_large.
 */
export function draftCapture(
  resolve: Resolve,
  hold: StoredTransaction,
  request: CaptureRequest,
  ids: Ids,
  now: string,
): Draft {
  checkPending(hold, now);
  const lines = leftLines(resolve, hold, 'pending');
  const entries =
    request.entries === undefined
      ? takeAmount(lines, hold.facts.entries.length, request.amount, 'capture_exceeds_hold')
      : takeEntries(lines, resolveEntries(resolve, request.entries, 'posted'), 'capture_exceeds_hold');
  checkAccounts(entries);
  const taken = sumLines(entries);
  const final = takesAll(lines, taken) || request.final === true;
  const effective_at = request.effective_at ?? null;
  const released = lines.map((line) => ({
    ...releasedLine(hold, line, effective_at),
    amount: final ? -line.left : -(taken.get(lineKey(line)) ?? 0n),
  }));
  const given_back = (final ? lines : [])
    .map((line) => ({ ...line, amount: line.left - (taken.get(lineKey(line)) ?? 0n) }))
    .filter((line) => line.amount > 0n);
  const description = request.description ?? null;
  const reference = request.reference ?? null;
  const metadata = request.metadata ?? {};
  const rest = given_back.length === 0 ? '' : `"released":${entriesJson(given_back)},`;
  const links = `"captures":"${encodeId('transaction', hold.id)}",${rest}`;
  return {
    event_type: 'ledger.transaction_posted',
    subject_id: ids.transaction_id,
    data: factsJson(
      { status: 'posted', entries, links, expires_at: null, description, reference, metadata },
      ids.actor,
    ),
    entries: [...entries, ...released.filter((entry) => entry.amount !== 0n)],
    effective_at,
    expires_at: hold.expires_at,
    reference,
    metadata,
    target: target(hold, 'capture', final, hold.expires_at),
    limits_apply: true,
    answer: null,
  };
}

/** transaction_not_pending */
export function draftVoid(resolve: Resolve, hold: StoredTransaction, now: string): Draft {
  checkPending(hold, now);
  return endHold(resolve, hold, 'void');
}

/** Null when there is nothing left that could expire. Errors: `unavailable`. */
export function draftExpiry(resolve: Resolve, hold: StoredTransaction, now: string): Draft | null {
  const state = statusAt(hold, now);
  // A clock that was put back. Not a refusal that is kept for its key, as the hold will end all the same.
  if (state.status === 'pending') throw new Problem('unavailable', 'The hold has not ended yet');
  if (state.status !== 'expired' || state.ended) return null;
  return endHold(resolve, hold, 'expiry');
}

function endHold(resolve: Resolve, hold: StoredTransaction, kind: 'void' | 'expiry'): Draft {
  const released = leftLines(resolve, hold, 'pending')
    .filter((line) => line.left !== 0n)
    .map((line) => ({ ...releasedLine(hold, line, null), amount: -line.left }));
  const past = kind === 'void' ? 'voided' : 'expired';
  const given_back = released.map((entry) => ({ ...entry, amount: -entry.amount }));
  return {
    event_type: `ledger.transaction_${past}`,
    subject_id: hold.id,
    data: `{"status":"${past}","released":${entriesJson(given_back)}}`,
    entries: released,
    effective_at: null,
    expires_at: hold.expires_at,
    reference: null,
    metadata: {},
    target: target(hold, kind, true, kind === 'void' ? hold.expires_at : null),
    limits_apply: false,
    answer: renderTransaction(hold, { ...transactionState(hold, null), status: past, remaining: 0n }),
  };
}

/**
 * transaction_not_posted, already_reversed, account_not_found, currency_mismatch, entries_unbalanced, reversal_exceeds_transaction,
 * entries_required, accounts_must_differ, account_closed, amount_too_large.
 */
export function draftReversal(
  resolve: Resolve,
  original: StoredTransaction,
  request: ReversalRequest,
  ids: Ids,
): Draft {
  const id = encodeId('transaction', original.id);
  if (original.type !== 'ledger.transaction_posted') {
    throw new Problem('transaction_not_posted', `${id} is a hold; reverse its captures`, {
      extras: { captured_by: newestFollowUps(original) },
    });
  }
  const lines = leftLines(resolve, original, 'posted').map((line) => ({
    ...line,
    direction: opposite[line.direction],
  }));
  if (lines.every((line) => line.left === 0n)) {
    throw new Problem('already_reversed', `${id} is reversed in full`, {
      extras: { reversed_by: newestFollowUps(original) },
    });
  }
  const exceeds = 'reversal_exceeds_transaction';
  const entries =
    request.entries === undefined
      ? takeAmount(lines, original.facts.entries.length, request.amount, exceeds)
      : takeEntries(lines, resolveEntries(resolve, request.entries, 'posted'), exceeds);
  checkAccounts(entries);
  const final = takesAll(lines, sumLines(entries));
  const description = request.description ?? null;
  const reference = request.reference ?? null;
  const metadata = request.metadata ?? {};
  return {
    event_type: 'ledger.transaction_posted',
    subject_id: ids.transaction_id,
    data: factsJson(
      {
        status: 'posted',
        entries,
        links: `"reverses":"${id}",`,
        expires_at: null,
        description,
        reference,
        metadata,
      },
      ids.actor,
    ),
    entries,
    effective_at: request.effective_at ?? null,
    expires_at: null,
    reference,
    metadata,
    target: target(original, 'reversal', final, null),
    limits_apply: request.force !== true,
    answer: null,
  };
}

function target(
  found: StoredTransaction,
  kind: DraftTarget['kind'],
  final: boolean,
  expires_at: string | null,
): DraftTarget {
  return { id: found.id, number: found.links.length + 1, kind, final, expires_at };
}

/** The release of a line: never in effect before its hold, even when that lies ahead. `effective_at` null is when it is recorded. */
function releasedLine(hold: StoredTransaction, line: Line, effective_at: string | null) {
  const earliest = effective_at ?? hold.observed_at;
  const waits = compareInstants(hold.effective_at, earliest) > 0;
  return {
    account: line.account,
    layer: 'pending' as const,
    direction: line.direction,
    ...(waits ? { effective_at: hold.effective_at } : {}),
  };
}

function checkPending(hold: StoredTransaction, now: string): void {
  const { status } = statusAt(hold, now);
  if (status === 'pending') return;
  throw new Problem('transaction_not_pending', `${encodeId('transaction', hold.id)} is ${status}`, {
    extras: { transaction_status: status },
  });
}

function lineKey(line: { account: ResolvedAccount; direction: Direction }): string {
  return `${line.account.id} ${line.direction}`;
}

function sumLines(entries: DraftEntry[]): Map<string, bigint> {
  const sums = new Map<string, bigint>();
  for (const entry of entries) {
    const key = lineKey(entry);
    sums.set(key, (sums.get(key) ?? 0n) + entry.amount);
  }
  return sums;
}

function takesAll(lines: Line[], taken: Map<string, bigint>): boolean {
  return lines.every((line) => (taken.get(lineKey(line)) ?? 0n) === line.left);
}

/** Per account and side: of a hold what is still held, of a posting what is not yet reversed. */
function leftLines(resolve: Resolve, found: StoredTransaction, layer: 'posted' | 'pending'): Line[] {
  const later = new Map(
    found.lines
      .filter((line) => line.layer === layer && !line.own)
      .map((line) => [`${line.account_id} ${line.direction}`, line.amount]),
  );
  return found.lines
    .filter((line) => line.layer === layer && line.own)
    .map(({ account_id, direction, amount }) => {
      const account = resolve(encodeId('account', account_id));
      if (account === undefined) throw new Error(`the account ${account_id} of an entry is missing`);
      // Releases of a hold are negative amounts of the same side, reversals are amounts of the other side.
      const left =
        layer === 'pending'
          ? amount + (later.get(`${account_id} ${direction}`) ?? 0n)
          : amount - (later.get(`${account_id} ${opposite[direction]}`) ?? 0n);
      return { account, direction, left };
    });
}

/** All that is left, or an amount when it is clear which entries it means: one debit and one credit. */
function takeAmount(
  lines: Line[],
  entry_count: number,
  amount: string | undefined,
  exceeds: Exceeds,
): DraftEntry[] {
  const everything = lines
    .filter((line) => line.left > 0n)
    .map((line) => ({
      account: line.account,
      layer: 'posted' as const,
      direction: line.direction,
      amount: line.left,
    }));
  if (amount === undefined) return everything;
  const total = singleTotal(everything);
  const wanted = BigInt(amount);
  if (total !== null && wanted > total) {
    throw new Problem(exceeds, `${wanted} is more than the ${total} that is left`, {
      extras: { remaining: `${total}` },
      errors: [{ pointer: '#/amount', code: exceeds, detail: `at most ${total}` }],
    });
  }
  if (total === wanted) return everything;
  if (total === null || entry_count !== 2) {
    throw new Problem(
      'entries_required',
      'The transaction has several entries, so an amount does not say which to take',
      {
        errors: [{ pointer: '#/amount', code: 'entries_required', detail: 'several entries could share it' }],
      },
    );
  }
  return everything.map((entry) => ({ ...entry, amount: wanted }));
}

/** The asked-for entries: each account and side within what is left of it. */
function takeEntries(lines: Line[], entries: DraftEntry[], exceeds: Exceeds): DraftEntry[] {
  checkBalance(entries);
  const left = new Map(lines.map((line) => [lineKey(line), line.left]));
  entries.forEach((entry, index) => {
    const remaining = (left.get(lineKey(entry)) ?? 0n) - entry.amount;
    if (remaining < 0n) {
      const detail = `${entry.account.code} has less than ${entry.amount} left to ${entry.direction}`;
      throw new Problem(exceeds, detail, {
        errors: [{ pointer: `#/entries/${index}/amount`, code: exceeds, detail }],
      });
    }
    left.set(lineKey(entry), remaining);
  });
  return entries;
}
