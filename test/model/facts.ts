// The nouns of the reference model. Everything is a record that never changes; what changes is a later record.

export type Side = 'debit' | 'credit';
export type AccountType = 'asset' | 'liability' | 'equity' | 'revenue' | 'expense';

export interface Limits {
  available_min: bigint | null;
  posted_max: bigint | null;
}

export interface Account {
  id: string;
  code: string;
  name: string | null;
  type: AccountType;
  currency: string;
  scale: number;
  limits: Limits;
  status: 'open' | 'closed';
  metadata: Record<string, string>;
}

export interface Entry {
  account_id: string;
  direction: Side;
  amount: bigint;
}

/** What a command wants to write; a receipt makes it a Transaction. */
export interface Posting {
  kind: 'posted' | 'hold';
  entries: Entry[];
  /** null means: when it is recorded */
  effective_at: bigint | null;
  /** of a hold; `in_us` counts from when it is recorded */
  expires: { at: bigint } | { in_us: bigint } | null;
  description: string | null;
  reference: string | null;
  metadata: Record<string, string>;
  captures: string | null;
  /** of a capture: whether it gives back what it does not take */
  final: boolean;
  reverses: string | null;
}

/** Where and when the log took something. */
export interface Receipt {
  id: string;
  position: number;
  recorded_at: bigint;
  /** of a hold that was asked to last a number of seconds: when it ends, by the clock that counted them */
  expires_at?: bigint;
}

export interface Transaction extends Omit<Receipt, 'expires_at'> {
  kind: 'posted' | 'hold';
  entries: Entry[];
  effective_at: bigint;
  expires_at: bigint | null;
  description: string | null;
  reference: string | null;
  metadata: Record<string, string>;
  captures: string | null;
  reverses: string | null;
}

/** Held money that is held no longer, by a capture or a void. */
export interface Release {
  hold_id: string;
  entries: Entry[];
  effective_at: bigint;
  position: number;
  recorded_at: bigint;
  /** the status that the hold has from here on */
  ends: 'posted' | 'voided' | null;
}

/** A refusal as the contract names it. */
export interface Refusal {
  status: number;
  code: string;
  pointer: string | null;
  extras: Record<string, unknown>;
}

export function refusal(
  status: number,
  code: string,
  pointer: string | null = null,
  extras: Record<string, unknown> = {},
): Refusal {
  return { status, code, pointer, extras };
}

export const largest_amount = 10n ** 38n - 1n;

export function opposite(direction: Side): Side {
  return direction === 'debit' ? 'credit' : 'debit';
}

export function normalSide(type: AccountType): Side {
  return type === 'asset' || type === 'expense' ? 'debit' : 'credit';
}

export function total(amounts: bigint[]): bigint {
  return amounts.reduce((sum, amount) => sum + amount, 0n);
}
