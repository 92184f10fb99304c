// The reference model of the ledger: what the contract says, in memory, from nothing but append-only lists. It shares no code with the
// product. Deciding (postings.ts, accounts.ts) never changes it; recording what was accepted does.
import {
  type Account,
  type Entry,
  normalSide,
  opposite,
  type Posting,
  type Receipt,
  type Release,
  type Transaction,
  total,
} from './facts.ts';

/** posted totals and open holds of one account: kept so that replaying a long log stays linear, recounted by `recount` */
interface Running {
  debits: bigint;
  credits: bigint;
  holds: Set<string>;
}

export class ReferenceLedger {
  readonly accounts = new Map<string, Account>();
  readonly account_ids_by_code = new Map<string, string>();
  readonly transactions = new Map<string, Transaction>();
  readonly transaction_ids_by_reference = new Map<string, string>();
  readonly releases = new Map<string, Release[]>();
  readonly captures = new Map<string, string[]>();
  readonly reversals = new Map<string, string[]>();
  /** of every hold that has one */
  readonly expiries: bigint[] = [];
  readonly #running = new Map<string, Running>();

  /** An account given by its id or its code; what is not there is undefined. */
  account(id_or_code: string): Account | undefined {
    const id = this.account_ids_by_code.get(id_or_code);
    return this.accounts.get(id === undefined ? id_or_code : id);
  }

  knownAccount(id: string): Account {
    const account = this.accounts.get(id);
    if (account === undefined) throw new Error(`the model has no account ${id}`);
    return account;
  }

  knownTransaction(id: string): Transaction {
    const transaction = this.transactions.get(id);
    if (transaction === undefined) throw new Error(`the model has no transaction ${id}`);
    return transaction;
  }

  /** A new account, or the account as it is from now on. */
  recordAccount(account: Account): void {
    this.accounts.set(account.id, account);
    this.account_ids_by_code.set(account.code, account.id);
    if (!this.#running.has(account.id)) {
      this.#running.set(account.id, { debits: 0n, credits: 0n, holds: new Set() });
    }
  }

  recordPosting(posting: Posting, receipt: Receipt): Transaction {
    const effective_at = posting.effective_at === null ? receipt.recorded_at : posting.effective_at;
    const transaction: Transaction = {
      ...receipt,
      kind: posting.kind,
      entries: posting.entries,
      effective_at,
      expires_at: expiresAt(posting, receipt),
      description: posting.description,
      reference: posting.reference,
      metadata: posting.metadata,
      captures: posting.captures,
      reverses: posting.reverses,
    };
    this.transactions.set(transaction.id, transaction);
    if (transaction.expires_at !== null) this.expiries.push(transaction.expires_at);
    if (posting.reference !== null) this.transaction_ids_by_reference.set(posting.reference, transaction.id);
    for (const entry of posting.entries) {
      const running = this.#runningOf(entry.account_id);
      if (posting.kind === 'hold') running.holds.add(transaction.id);
      else if (entry.direction === 'debit') running.debits += entry.amount;
      else running.credits += entry.amount;
    }
    if (posting.captures !== null) this.#recordCapture(posting, posting.captures, transaction);
    if (posting.reverses !== null) append(this.reversals, posting.reverses, transaction.id);
    return transaction;
  }

  /** A void: what is left of the hold is given back. */
  recordVoid(hold_id: string, receipt: Receipt): void {
    this.#release(hold_id, this.remaining(hold_id), 'voided', receipt.recorded_at, receipt);
  }

  /** What is left of each entry of a hold, whether or not it has ended or expired. Entries of the same account and side are one pool. */
  remaining(hold_id: string): Entry[] {
    const pools = pooled(this.knownTransaction(hold_id).entries);
    for (const release of this.releases.get(hold_id) ?? []) {
      for (const entry of release.entries) {
        const key = `${entry.account_id} ${entry.direction}`;
        const pool = pools.get(key);
        if (pool === undefined) throw new Error(`${hold_id} never held ${key}`);
        pools.set(key, { ...pool, amount: pool.amount - entry.amount });
      }
    }
    return [...pools.values()].filter((entry) => entry.amount !== 0n);
  }

  holdStatus(hold: Transaction, now: bigint): 'pending' | 'posted' | 'voided' | 'expired' {
    const ended = (this.releases.get(hold.id) ?? []).find((release) => release.ends !== null);
    if (ended !== undefined && ended.ends !== null) return ended.ends;
    return hold.expires_at !== null && hold.expires_at <= now ? 'expired' : 'pending';
  }

  /** Both sides posted so far, whatever their business date. */
  postedTotals(account_id: string): { debits: bigint; credits: bigint } {
    const { debits, credits } = this.#runningOf(account_id);
    return { debits, credits };
  }

  /** In the account's normal direction. */
  posted(account_id: string): bigint {
    const { debits, credits } = this.#runningOf(account_id);
    return normalSide(this.knownAccount(account_id).type) === 'debit' ? debits - credits : credits - debits;
  }

  /** Held on the side that decreases the account. */
  heldOut(account_id: string, now: bigint): bigint {
    const decreasing = opposite(normalSide(this.knownAccount(account_id).type));
    const held: bigint[] = [];
    for (const hold_id of this.#runningOf(account_id).holds) {
      if (this.holdStatus(this.knownTransaction(hold_id), now) !== 'pending') continue;
      for (const entry of this.remaining(hold_id)) {
        if (entry.account_id === account_id && entry.direction === decreasing) held.push(entry.amount);
      }
    }
    return total(held);
  }

  /** What is left to reverse, as a reversal would post it. Entries of the same account and side are one pool. */
  unreversed(transaction: Transaction): Entry[] {
    const turned = transaction.entries.map((entry) => ({ ...entry, direction: opposite(entry.direction) }));
    const reversals = (this.reversals.get(transaction.id) ?? []).map((id) => this.knownTransaction(id));
    return subtract(
      [...pooled(turned).values()],
      reversals.flatMap((reversal) => reversal.entries),
    );
  }

  /** A copy that can go its own way: for what is only tried. */
  fork(): ReferenceLedger {
    const copy = new ReferenceLedger();
    for (const account of this.accounts.values()) copy.recordAccount(account);
    for (const [id, transaction] of this.transactions) copy.transactions.set(id, transaction);
    copy.expiries.push(...this.expiries);
    for (const [reference, id] of this.transaction_ids_by_reference) {
      copy.transaction_ids_by_reference.set(reference, id);
    }
    for (const [id, releases] of this.releases) copy.releases.set(id, [...releases]);
    for (const [id, ids] of this.captures) copy.captures.set(id, [...ids]);
    for (const [id, ids] of this.reversals) copy.reversals.set(id, [...ids]);
    for (const [id, running] of this.#running) {
      copy.#running.set(id, { ...running, holds: new Set(running.holds) });
    }
    return copy;
  }

  #recordCapture(posting: Posting, hold_id: string, transaction: Transaction): void {
    append(this.captures, hold_id, transaction.id);
    const left = subtract(this.remaining(hold_id), posting.entries);
    const ends = posting.final || left.length === 0;
    const given_back = posting.final ? left : [];
    this.#release(
      hold_id,
      [...posting.entries, ...given_back],
      ends ? 'posted' : null,
      transaction.effective_at,
      transaction,
    );
  }

  #release(
    hold_id: string,
    entries: Entry[],
    ends: Release['ends'],
    effective_at: bigint,
    receipt: Pick<Receipt, 'position' | 'recorded_at'>,
  ) {
    const { position, recorded_at } = receipt;
    append(this.releases, hold_id, { hold_id, entries, ends, effective_at, position, recorded_at });
    if (ends === null) return;
    for (const entry of this.knownTransaction(hold_id).entries) {
      this.#runningOf(entry.account_id).holds.delete(hold_id);
    }
  }

  #runningOf(account_id: string): Running {
    const running = this.#running.get(account_id);
    if (running === undefined) throw new Error(`the model has no account ${account_id}`);
    return running;
  }
}

/** The instants in a span of time at which what the ledger says can change, and both its ends. */
export function instantsBetween(ledger: ReferenceLedger, from: bigint, until: bigint): bigint[] {
  return [from, ...ledger.expiries.filter((expiry) => expiry > from && expiry <= until), until];
}

export function debitsOf(transaction: { entries: Entry[] }): bigint {
  return total(transaction.entries.flatMap((entry) => (entry.direction === 'debit' ? [entry.amount] : [])));
}

/** account and side → what both name together */
export function pooled(entries: Entry[]): Map<string, Entry> {
  const pools = new Map<string, Entry>();
  for (const entry of entries) {
    const key = `${entry.account_id} ${entry.direction}`;
    const pool = pools.get(key);
    pools.set(key, pool === undefined ? entry : { ...pool, amount: pool.amount + entry.amount });
  }
  return pools;
}

function subtract(entries: Entry[], taken: Entry[]): Entry[] {
  const taking = pooled(taken);
  return entries.flatMap((entry) => {
    const amount = entry.amount - (taking.get(`${entry.account_id} ${entry.direction}`)?.amount ?? 0n);
    return amount === 0n ? [] : [{ ...entry, amount }];
  });
}

function expiresAt(posting: Posting, receipt: Receipt): bigint | null {
  if (posting.expires === null) return null;
  if ('at' in posting.expires) return posting.expires.at;
  return receipt.expires_at ?? receipt.recorded_at + posting.expires.in_us;
}

function append<Item>(lists: Map<string, Item[]>, key: string, item: Item): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [item]);
  else list.push(item);
}
