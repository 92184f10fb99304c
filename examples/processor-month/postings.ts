// What a row of the export is in double entry: the balance at the processor moves by net, the row's category by the amount, its fees
// by the fee. The accounts are made of the category and the currency, so that each of the processor's totals has an account.
import type { Category, ProcessorRow } from './rows.ts';

export interface Account {
  code: string;
  name: string;
  type: 'asset' | 'revenue' | 'expense';
  currency: string;
}

export interface Transaction {
  entries: { account: string; direction: 'debit' | 'credit'; amount: string; currency: string }[];
  effective_at: string;
  description?: string;
  reference: string;
  metadata: Record<string, string>;
  idempotency_key: string;
}

const accounts_of_category: Record<Category, { prefix: string; type: Account['type']; name: string }> = {
  charge: { prefix: 'sales:charge', type: 'revenue', name: 'Charges' },
  refund: { prefix: 'sales:refund', type: 'revenue', name: 'Refunds' },
  dispute: { prefix: 'losses:dispute', type: 'expense', name: 'Disputed charges' },
  dispute_reversal: { prefix: 'losses:dispute_reversal', type: 'expense', name: 'Disputes won' },
  payout: { prefix: 'bank:payout', type: 'asset', name: 'Payouts to the bank' },
  payout_reversal: { prefix: 'bank:payout_reversal', type: 'asset', name: 'Payouts returned by the bank' },
  fee: { prefix: 'costs:fee', type: 'expense', name: 'Fees of the processor by themselves' },
  network_cost: { prefix: 'costs:network_cost', type: 'expense', name: 'Card network costs' },
  transfer: { prefix: 'bank:transfer', type: 'asset', name: 'Transfers' },
  transfer_reversal: { prefix: 'bank:transfer_reversal', type: 'asset', name: 'Transfers returned' },
  topup: { prefix: 'bank:topup', type: 'asset', name: 'Top-ups from the bank' },
  topup_reversal: { prefix: 'bank:topup_reversal', type: 'asset', name: 'Top-ups returned' },
  other_adjustment: { prefix: 'costs:adjustment', type: 'expense', name: 'Adjustments by the processor' },
};

/** Where the amounts of a category and currency are. */
export function grossAccount(category: Category, currency: string): Account {
  const { prefix, type, name } = accounts_of_category[category];
  return { code: `${prefix}:${currency.toLowerCase()}`, name: `${name}, ${currency}`, type, currency };
}

/** Where the fees of a category and currency are. */
export function feeAccount(category: Category, currency: string): Account {
  return {
    code: `costs:processing:${category}:${currency.toLowerCase()}`,
    name: `Processing fees, ${accounts_of_category[category].name.toLowerCase()}, ${currency}`,
    type: 'expense',
    currency,
  };
}

/** What the processor holds for us in a currency. */
export function balanceAccount(currency: string): Account {
  return {
    code: `processor:balance:${currency.toLowerCase()}`,
    name: `Balance at the processor, ${currency}`,
    type: 'asset',
    currency,
  };
}

/** Every account that the rows touch, once. */
export function accountsOf(rows: ProcessorRow[]): Account[] {
  const accounts = rows.flatMap((row) => legsOf(row).map((leg) => leg.account));
  return [...new Map(accounts.map((account) => [account.code, account])).values()];
}

/** The row as a transaction; null when it moves nothing. The processor's id is both its reference and its key: it posts once. */
export function transactionOf(row: ProcessorRow): Transaction | null {
  const legs = legsOf(row);
  if (legs.length === 0) return null;
  return {
    entries: legs.map(({ account, debit }) => ({
      account: account.code,
      direction: debit > 0n ? 'debit' : 'credit',
      amount: String(debit > 0n ? debit : -debit),
      currency: row.currency,
    })),
    effective_at: row.created,
    ...(row.description === null ? {} : { description: row.description }),
    reference: row.id,
    metadata: {
      category: row.category,
      ...(row.source === null ? {} : { source: row.source }),
      ...(row.payout_id === null ? {} : { payout: row.payout_id }),
      ...(row.available_on === null ? {} : { available_on: row.available_on }),
    },
    idempotency_key: `processor-month:${row.id}`,
  };
}

function legsOf(row: ProcessorRow): { account: Account; debit: bigint }[] {
  return [
    { account: balanceAccount(row.currency), debit: row.net },
    { account: feeAccount(row.category, row.currency), debit: row.fee },
    { account: grossAccount(row.category, row.currency), debit: -row.amount },
  ].filter((leg) => leg.debit !== 0n);
}
