// Balances of limited accounts that the process knows from its own postings, so that a limit costs no query on the usual path.
// A balance is known as of a position; ledger.post_transactions accepts it only if no entry came after that position, under the lock.
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
  /** of the tenant's last event that is counted */
  position: number;
  recorded_at: string;
  /** no account had changed after this by then */
  accounts_position: number;
  /** account uuid → balance */
  balances: Map<string, bigint>;
}

/** Balances, and tenants beside them: about 150 bytes each, so 15 MB. */
const max_kept = 100_000;

export class LimitedBalances {
  /** by tenant, least recently used first */
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

  /** Counts a batch that was posted right after what is known; with a gap before it, what was known is forgotten. */
  advance(
    tenant_id: string,
    batch: {
      /** whether no entry lies between what is known and the batch */
      is_next: boolean;
      position: number;
      recorded_at: string;
      accounts_position: number;
      /** balances before the batch, that were found out with it */
      found: Map<string, bigint>;
      posted: Draft[];
    },
  ): void {
    const balances =
      (batch.is_next ? this.#tenants.get(tenant_id)?.balances : undefined) ?? new Map<string, bigint>();
    this.forget(tenant_id);
    for (const [account_id, balance] of batch.found) balances.set(account_id, balance);
    for (const draft of batch.posted) {
      for (const { account, posted } of effectsOf(draft)) {
        const balance = balances.get(account.id);
        if (balance !== undefined) balances.set(account.id, balance + posted);
      }
      for (const { account, layer } of draft.entries) if (layer === 'pending') balances.delete(account.id);
    }
    const { position, recorded_at, accounts_position } = batch;
    this.#tenants.set(tenant_id, { position, recorded_at, accounts_position, balances });
    this.#count += 1 + balances.size;
    for (const oldest of this.#tenants.keys()) {
      if (this.#count <= max_kept) break;
      this.forget(oldest);
    }
  }
}
