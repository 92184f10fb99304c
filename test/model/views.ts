// How the model's accounts and transactions look on the wire. Instants stay bigint: they are compared as instants.
import { normalSide, type Transaction, total } from './facts.ts';
import { debitsOf, type ReferenceLedger } from './ledger.ts';

export function accountView(ledger: ReferenceLedger, id: string): Record<string, unknown> {
  const { limits, ...account } = ledger.knownAccount(id);
  const { available_min, posted_max } = limits;
  return {
    ...account,
    normal_side: normalSide(account.type),
    limits: {
      ...(available_min === null ? {} : { available_min: available_min.toString() }),
      ...(posted_max === null ? {} : { posted_max: posted_max.toString() }),
    },
  };
}

export function transactionView(ledger: ReferenceLedger, id: string, now: bigint): Record<string, unknown> {
  const transaction = ledger.knownTransaction(id);
  return {
    ...newTransactionView(ledger, transaction, now),
    reversed_by: ledger.reversals.get(id) ?? [],
  };
}

function newTransactionView(ledger: ReferenceLedger, transaction: Transaction, now: bigint) {
  return {
    id: transaction.id,
    position: transaction.position,
    status: transaction.kind === 'posted' ? 'posted' : ledger.holdStatus(transaction, now),
    entries: transaction.entries.map((entry) => {
      const { id, code, currency, scale } = ledger.knownAccount(entry.account_id);
      const { direction, amount } = entry;
      return { account_id: id, account_code: code, direction, amount: amount.toString(), currency, scale };
    }),
    ...(transaction.kind === 'hold' ? holdView(ledger, transaction, now) : {}),
    ...(transaction.captures === null ? {} : { captures: transaction.captures }),
    ...(transaction.reverses === null ? {} : { reverses: transaction.reverses }),
    effective_at: transaction.effective_at,
    recorded_at: transaction.recorded_at,
    expires_at: transaction.expires_at,
    description: transaction.description,
    reference: transaction.reference,
    metadata: transaction.metadata,
  };
}

function holdView(ledger: ReferenceLedger, hold: Transaction, now: bigint) {
  const captured_by = ledger.captures.get(hold.id) ?? [];
  const captured = total(captured_by.map((id) => debitsOf(ledger.knownTransaction(id))));
  const left = ledger.holdStatus(hold, now) === 'pending' ? debitsOf(hold) - captured : 0n;
  const currencies = new Set(hold.entries.map((entry) => ledger.knownAccount(entry.account_id).currency));
  if (currencies.size > 1) return { captured_by };
  return { captured: captured.toString(), remaining: left.toString(), captured_by };
}
