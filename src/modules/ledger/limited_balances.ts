// Balances of limited accounts that the process knows from its own postings, so that a limit costs no query on the usual path.
// A balance is known as of an event; ledger.post_transactions accepts it only if no entry came after that event, under the lock. So a batch
// that was sent and not yet answered can be counted at once: if it is not posted, that event is not there, and nothing is accepted.
// Accounts with holds are never known here: what they have available changes with time.
import { isLimited, type ResolvedAccount } from './account_cache.ts';
import type { Draft } from './draft.ts';

/** What a draft does to one limited account, in the account's normal direction. */
interface Effect {
  account: ResolvedAccount;
  available: bigint;
  posted: bigint;
}

/** Net effects on the limited accounts of a draft, in entry order. */
export function effectsOf(draft: Draft): Effect[] {
  const effects: Effect[] = [];
  for (const { account, layer, direction, amount } of draft.entries) {
    if (!isLimited(account)) continue;
    let effect = effects.find((each) => each.account === account);
    if (effect === undefined) {
      effect = { account, available: 0n, posted: 0n };
      effects.push(effect);
    }
    const increases = (direction === 'debit') === account.debit_normal;
    if (layer === 'posted') {
      const signed = increases ? amount : -amount;
      effect.posted += signed;
      effect.available += signed;
    } else if (!increases) {
      // Money held for an account is not spendable, so only the decreasing side counts.
      effect.available -= amount;
    }
  }
  return effects;
}

/** What a batch can do to a limited account at worst, in whatever order its parts are posted. Minor units in the normal direction. */
export interface WorstEffect {
  account: ResolvedAccount;
  out: bigint;
  in: bigint;
}

/** Per limited account of these drafts, in order of first appearance. */
export function worstEffects(drafts: Draft[]): Map<string, WorstEffect> {
  const worst = new Map<string, WorstEffect>();
  for (const draft of drafts) {
    for (const { account, available, posted } of effectsOf(draft)) {
      let each = worst.get(account.id);
      if (each === undefined) {
        each = { account, out: 0n, in: 0n };
        worst.set(account.id, each);
      }
      if (available < 0n) each.out -= available;
      if (posted > 0n) each.in += posted;
    }
  }
  return worst;
}

/** Whether a limit of the account could refuse anything of the batch. */
export function isConstrained({ account, out, in: inflow }: WorstEffect): boolean {
  return (out > 0n && account.available_min !== null) || (inflow > 0n && account.posted_max !== null);
}

/** Whether the account stays within its limits at worst. */
export function staysWithin({ account, out, in: inflow }: WorstEffect, balance: bigint): boolean {
  const { available_min, posted_max } = account;
  const is_low = out > 0n && available_min !== null && balance - out < available_min;
  const is_high = inflow > 0n && posted_max !== null && balance + inflow > posted_max;
  return !is_low && !is_high;
}

export interface Known {
  /** of the last event that is counted, by which a call recognises that the log has not grown since; with `sent`, where it is expected */
  position: number;
  /** uuid */
  event_id: string;
  /** of that event, or of one before it */
  recorded_at: string;
  /** no account had changed after this by then */
  accounts_position: number;
  /** account uuid → balance */
  balances: Map<string, bigint>;
  /** drafts of batches that are counted although Postgres has yet to say that they are posted, in the order in which they were sent */
  sent: Draft[][];
}

/** Where a batch was posted, and the balances before it that were found out with it. */
export interface Posted {
  position: number;
  event_id: string;
  recorded_at: string;
  accounts_position: number;
  found: Map<string, bigint>;
  drafts: Draft[];
}

/** Balances, and tenants beside them: about 150 bytes each, so 15 MB. */
const max_kept = 100_000;

export class LimitedBalances {
  /** by tenant; least recently used first, as far as that matters: as long as half of the room is free they are in the order in which they came */
  readonly #tenants = new Map<string, Known>();
  #count = 0;

  maybeKnown(tenant_id: string): Known | null {
    return this.#tenants.get(tenant_id) ?? null;
  }

  forget(tenant_id: string): void {
    const known = this.#tenants.get(tenant_id);
    if (known === undefined) return;
    this.#count -= 1 + known.balances.size;
    this.#tenants.delete(tenant_id);
  }

  /** Counts a batch that is sent to be posted right after what is known, all of it or nothing. */
  expect(tenant_id: string, batch: Pick<Posted, 'event_id' | 'accounts_position' | 'drafts'>): void {
    const known = this.#takeUp(tenant_id);
    known.position += batch.drafts.length;
    known.event_id = batch.event_id;
    known.accounts_position = batch.accounts_position;
    known.sent.push(batch.drafts);
    countDrafts(known.balances, batch.drafts);
    this.#keep(tenant_id, known);
  }

  /** What was sent first has been posted, `shift` positions further on than expected: what came between is no money. */
  confirm(tenant_id: string, posted: Posted, shift: number): void {
    const known = this.#takeUp(tenant_id);
    known.sent = known.sent.slice(known.sent.indexOf(posted.drafts) + 1);
    known.position += shift;
    known.recorded_at = posted.recorded_at;
    if (posted.found.size > 0) {
      const found = new Map(posted.found);
      for (const drafts of [posted.drafts, ...known.sent]) countDrafts(found, drafts);
      for (const [account_id, balance] of found) known.balances.set(account_id, balance);
    }
    this.#keep(tenant_id, known);
  }

  /** Begins anew with a batch that was posted. */
  begin(tenant_id: string, posted: Posted): void {
    this.forget(tenant_id);
    const { position, event_id, recorded_at, accounts_position, found, drafts } = posted;
    const balances = new Map(found);
    countDrafts(balances, drafts);
    this.#keep(tenant_id, { position, event_id, recorded_at, accounts_position, balances, sent: [] });
  }

  /** What is known of a tenant, to be changed: it counts again when it is kept. */
  #takeUp(tenant_id: string): Known {
    const known = this.#tenants.get(tenant_id);
    if (known === undefined) throw new Error('a batch follows nothing that is known');
    this.#count -= 1 + known.balances.size;
    return known;
  }

  #keep(tenant_id: string, known: Known): void {
    this.#count += 1 + known.balances.size;
    // Moved twice for each batch, a Map makes its table anew all the time.
    if (this.#count > max_kept / 2) this.#tenants.delete(tenant_id);
    this.#tenants.set(tenant_id, known);
    this.#makeRoom();
  }

  #makeRoom(): void {
    for (const oldest of this.#tenants.keys()) {
      if (this.#count <= max_kept) break;
      this.forget(oldest);
    }
  }
}

/** Counts drafts into those balances that are there; an account with a hold has none. */
function countDrafts(balances: Map<string, bigint>, drafts: Draft[]): void {
  for (const draft of drafts) {
    for (const { account, posted } of effectsOf(draft)) {
      const balance = balances.get(account.id);
      if (balance !== undefined) balances.set(account.id, balance + posted);
    }
    for (const { account, layer } of draft.entries) if (layer === 'pending') balances.delete(account.id);
  }
}
