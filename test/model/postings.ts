// Decides whether the ledger takes a posting, a capture, a void or a reversal: what it would write, or the first refusal in the
// documented order.
import {
  type Account,
  type Entry,
  largest_amount,
  normalSide,
  opposite,
  type Posting,
  type Refusal,
  refusal,
  type Transaction,
  total,
} from './facts.ts';
import { parseSent } from './instant.ts';
import { pooled, type ReferenceLedger } from './ledger.ts';
import type { CaptureBody, Described, PostingBody, ReversalBody } from './shapes.ts';

export type Decision<Accepted> = { refused: Refusal } | { accepted: Accepted };

const plain = { expires: null, captures: null, final: false, reverses: null };

function described(body: Described) {
  return {
    effective_at: typeof body.effective_at === 'string' ? parseSent(body.effective_at) : null,
    description: body.description ?? null,
    reference: body.reference ?? null,
    metadata: body.metadata ?? {},
  };
}

/**
 * `now` is the instant at which it would be recorded. Whether an expiry lies in the past may have been judged
 * when the request `arrived`.
 */
export function decidePosting(
  ledger: ReferenceLedger,
  body: PostingBody,
  now: bigint,
  arrived: bigint,
): Decision<Posting> {
  const resolved = resolveEntries(ledger, body.entries);
  if ('refused' in resolved) return resolved;
  const posting: Posting = {
    ...plain,
    kind: body.status === 'pending' ? 'hold' : 'posted',
    entries: resolved.accepted,
    ...described(body),
    expires: expiryOf(body),
  };
  const refused =
    unbalanced(ledger, posting.entries) ??
    nothingMoves(posting.entries) ??
    closedAccount(ledger, posting.entries) ??
    tooLarge(ledger, posting) ??
    expired(body, arrived) ??
    takenReference(ledger, posting) ??
    brokenLimit(ledger, posting, now);
  return refused === null ? { accepted: posting } : { refused };
}

export function decideCapture(
  ledger: ReferenceLedger,
  hold_id: string,
  body: CaptureBody,
  now: bigint,
  whole = '#',
): Decision<Posting> {
  const hold = ledger.transactions.get(hold_id);
  if (hold === undefined) return { refused: refusal(404, 'not_found') };
  if (!isPending(ledger, hold, now)) return { refused: refusal(409, 'transaction_not_pending') };
  const entries = capturedEntries(ledger, hold, body);
  if ('refused' in entries) return entries;
  const posting: Posting = {
    ...plain,
    kind: 'posted',
    entries: entries.accepted,
    ...described(body),
    captures: hold_id,
    final: body.final,
  };
  const refused =
    nothingMoves(posting.entries) ??
    closedAccount(ledger, posting.entries) ??
    tooLarge(ledger, posting) ??
    takenReference(ledger, posting) ??
    brokenLimit(ledger, posting, now);
  return refused === null ? { accepted: posting } : { refused: atAskedField(refused, body, whole) };
}

export function decideVoid(ledger: ReferenceLedger, hold_id: string, now: bigint): Decision<string> {
  const hold = ledger.transactions.get(hold_id);
  if (hold === undefined) return { refused: refusal(404, 'not_found') };
  if (!isPending(ledger, hold, now)) return { refused: refusal(409, 'transaction_not_pending') };
  return { accepted: hold_id };
}

export function decideReversal(
  ledger: ReferenceLedger,
  transaction_id: string,
  body: ReversalBody,
  now: bigint,
  whole = '#',
): Decision<Posting> {
  const transaction = ledger.transactions.get(transaction_id);
  if (transaction === undefined) return { refused: refusal(404, 'not_found') };
  if (transaction.kind === 'hold') return { refused: refusal(409, 'transaction_not_posted') };
  const entries = reversedEntries(ledger, transaction, body);
  if ('refused' in entries) return entries;
  const posting: Posting = {
    ...plain,
    kind: 'posted',
    entries: entries.accepted,
    ...described(body),
    reverses: transaction_id,
  };
  const refused =
    nothingMoves(posting.entries) ??
    closedAccount(ledger, posting.entries) ??
    tooLarge(ledger, posting) ??
    takenReference(ledger, posting) ??
    (body.force ? null : brokenLimit(ledger, posting, now));
  return refused === null ? { accepted: posting } : { refused: atAskedField(refused, body, whole) };
}

/** What is wrong with entries that the body does not give is said of its amount, or of what stands for the `whole`. */
function atAskedField(refused: Refusal, body: CaptureBody | ReversalBody, whole: string): Refusal {
  if (body.entries !== undefined || !refused.pointer?.startsWith('#/entries')) return refused;
  return { ...refused, pointer: body.amount === undefined ? whole : '#/amount' };
}

function resolveEntries(ledger: ReferenceLedger, entries: PostingBody['entries']): Decision<Entry[]> {
  const accounts = entries.map((entry) => ledger.account(entry.account));
  const unknown = accounts.indexOf(undefined);
  if (unknown >= 0) return { refused: refusal(422, 'account_not_found', `#/entries/${unknown}/account`) };
  const mismatch = entries.findIndex(
    (entry, i) => entry.currency !== undefined && entry.currency !== accounts[i]?.currency,
  );
  if (mismatch >= 0) return { refused: refusal(422, 'currency_mismatch', `#/entries/${mismatch}/currency`) };
  const accepted = entries.flatMap((entry, i) => {
    const account = accounts[i];
    if (account === undefined) return [];
    return [{ account_id: account.id, direction: entry.direction, amount: BigInt(entry.amount) }];
  });
  return { accepted };
}

function unbalanced(ledger: ReferenceLedger, entries: Entry[]): Refusal | null {
  const differences = new Map<string, bigint>();
  for (const entry of entries) {
    const { currency } = ledger.knownAccount(entry.account_id);
    differences.set(currency, (differences.get(currency) ?? 0n) + signed(entry, 'debit'));
  }
  const differs = [...differences.values()].some((difference) => difference !== 0n);
  return differs ? refusal(422, 'entries_unbalanced', '#/entries') : null;
}

function nothingMoves(entries: Entry[]): Refusal | null {
  const nets = new Map<string, bigint>();
  for (const entry of entries) {
    nets.set(entry.account_id, (nets.get(entry.account_id) ?? 0n) + signed(entry, 'debit'));
  }
  return [...nets.values()].every((net) => net === 0n)
    ? refusal(422, 'accounts_must_differ', '#/entries')
    : null;
}

function closedAccount(ledger: ReferenceLedger, entries: Entry[]): Refusal | null {
  const closed = entries.findIndex((entry) => ledger.knownAccount(entry.account_id).status === 'closed');
  return closed < 0 ? null : refusal(422, 'account_closed', `#/entries/${closed}/account`);
}

/** A sum that the contract's 38 digits cannot show: of the transaction, or of what an account has on one side. */
function tooLarge(ledger: ReferenceLedger, posting: Posting): Refusal | null {
  const sides = new Map<string, bigint>();
  for (const entry of posting.entries) {
    const key = `${ledger.knownAccount(entry.account_id).currency} ${entry.direction}`;
    sides.set(key, (sides.get(key) ?? 0n) + entry.amount);
  }
  const transaction_too_large = [...sides.values()].some((side) => side > largest_amount);
  return transaction_too_large ? refusal(422, 'amount_too_large') : null;
}

function expiryOf(body: PostingBody): Posting['expires'] {
  if (typeof body.expires_at === 'string') return { at: parseSent(body.expires_at) };
  if (body.expires_in_seconds !== undefined) return { in_us: BigInt(body.expires_in_seconds) * 1_000_000n };
  return null;
}

function expired(body: PostingBody, now: bigint): Refusal | null {
  if (typeof body.expires_at !== 'string' || parseSent(body.expires_at) > now) return null;
  return refusal(422, 'expiry_in_past', '#/expires_at');
}

function takenReference(ledger: ReferenceLedger, posting: Posting): Refusal | null {
  if (posting.reference === null) return null;
  const transaction_id = ledger.transaction_ids_by_reference.get(posting.reference);
  return transaction_id === undefined
    ? null
    : refusal(409, 'reference_taken', '#/reference', { transaction_id });
}

/** Limits look at the net effect of the whole transaction, and refuse only what makes a breach worse. */
function brokenLimit(ledger: ReferenceLedger, posting: Posting, now: bigint): Refusal | null {
  for (const account_id of new Set(posting.entries.map((entry) => entry.account_id))) {
    const account = ledger.knownAccount(account_id);
    const pointer = `#/entries/${posting.entries.findIndex((entry) => entry.account_id === account_id)}/account`;
    const effect = effectOn(ledger, account, posting);
    const posted = ledger.posted(account_id);
    const available = posted - ledger.heldOut(account_id, now);
    const { available_min, posted_max } = account.limits;
    const available_change = effect.posted - effect.held_out;
    if (available_min !== null && available_change < 0n && available + available_change < available_min) {
      const required = (-available_change).toString();
      const extras = {
        account: account.code,
        available: available.toString(),
        required,
        available_min: available_min.toString(),
      };
      return refusal(422, 'insufficient_funds', pointer, extras);
    }
    if (posted_max !== null && effect.posted > 0n && posted + effect.posted > posted_max) {
      return refusal(422, 'limit_exceeded', pointer, {
        account: account.code,
        posted: posted.toString(),
        posted_max: posted_max.toString(),
      });
    }
  }
  return null;
}

/** What a posting does to one account's posted balance and to what is held out of it. */
function effectOn(ledger: ReferenceLedger, account: Account, posting: Posting) {
  const normal = normalSide(account.type);
  const of_account = (entry: Entry) => entry.account_id === account.id;
  const mine = posting.entries.filter(of_account);
  const outgoing = (entries: Entry[]) =>
    total(entries.flatMap((entry) => (entry.direction === opposite(normal) ? [entry.amount] : [])));
  if (posting.kind === 'hold') return { posted: 0n, held_out: outgoing(mine) };
  const posted = total(mine.map((entry) => signed(entry, normal)));
  if (posting.captures === null) return { posted, held_out: 0n };
  const released = posting.final ? ledger.remaining(posting.captures).filter(of_account) : mine;
  return { posted, held_out: -outgoing(released) };
}

function capturedEntries(ledger: ReferenceLedger, hold: Transaction, body: CaptureBody): Decision<Entry[]> {
  const remaining = ledger.remaining(hold.id);
  if (body.amount !== undefined) {
    return takenAmount(ledger, remaining, isPair(hold), BigInt(body.amount), 'capture_exceeds_hold');
  }
  if (body.entries === undefined) return { accepted: remaining };
  return takenEntries(ledger, remaining, body.entries, 'capture_exceeds_hold');
}

function reversedEntries(
  ledger: ReferenceLedger,
  transaction: Transaction,
  body: ReversalBody,
): Decision<Entry[]> {
  const left = ledger.unreversed(transaction);
  if (left.length === 0) return { refused: refusal(409, 'already_reversed') };
  if (body.amount !== undefined) {
    const amount = BigInt(body.amount);
    return takenAmount(ledger, left, isPair(transaction), amount, 'reversal_exceeds_transaction');
  }
  if (body.entries === undefined) return { accepted: left };
  return takenEntries(ledger, left, body.entries, 'reversal_exceeds_transaction');
}

/** Entries that are asked for, each within what its account and side has left when those before it are taken. */
function takenEntries(
  ledger: ReferenceLedger,
  left: Entry[],
  asked: PostingBody['entries'],
  exceeds: string,
): Decision<Entry[]> {
  const resolved = resolveEntries(ledger, asked);
  if ('refused' in resolved) return resolved;
  const taken = resolved.accepted;
  const refused = unbalanced(ledger, taken);
  if (refused !== null) return { refused };
  const pools = pooled(left);
  for (const [i, { account_id, direction, amount }] of taken.entries()) {
    const key = `${account_id} ${direction}`;
    const pool = pools.get(key);
    if (pool === undefined || pool.amount < amount) {
      return { refused: refusal(422, exceeds, `#/entries/${i}/amount`) };
    }
    pools.set(key, { ...pool, amount: pool.amount - amount });
  }
  return { accepted: taken };
}

/** An amount means something where it is all that is left in one currency, or a part of one debit and one credit. */
function takenAmount(
  ledger: ReferenceLedger,
  left: Entry[],
  is_pair: boolean,
  amount: bigint,
  exceeds: string,
): Decision<Entry[]> {
  const currencies = new Set(left.map((entry) => ledger.knownAccount(entry.account_id).currency));
  if (currencies.size === 1) {
    const debits = total(left.flatMap((entry) => (entry.direction === 'debit' ? [entry.amount] : [])));
    if (amount > debits) return { refused: refusal(422, exceeds, '#/amount') };
    if (amount === debits) return { accepted: left };
    if (is_pair) return { accepted: left.map((entry) => ({ ...entry, amount })) };
  }
  return { refused: refusal(422, 'entries_required', '#/amount') };
}

function isPending(ledger: ReferenceLedger, transaction: Transaction, now: bigint): boolean {
  return transaction.kind === 'hold' && ledger.holdStatus(transaction, now) === 'pending';
}

function isPair(transaction: Transaction): boolean {
  return transaction.entries.length === 2;
}

export function signed(entry: Entry, positive: 'debit' | 'credit'): bigint {
  return entry.direction === positive ? entry.amount : -entry.amount;
}
