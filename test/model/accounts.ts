// Decides about accounts: opening, changing, closing, reopening.
import type { z } from 'zod';
import { type Account, type Limits, refusal } from './facts.ts';
import type { ReferenceLedger } from './ledger.ts';
import type { Decision } from './postings.ts';
import type { AccountChangeShape, AccountShape } from './shapes.ts';

export type NewAccount = Omit<Account, 'id'>;

export function decideAccount(
  ledger: ReferenceLedger,
  scales: ReadonlyMap<string, number>,
  body: z.output<typeof AccountShape>,
): Decision<NewAccount> {
  const scale = scales.get(body.currency);
  if (scale === undefined) return { refused: refusal(422, 'currency_unknown', '#/currency') };
  if (ledger.account_ids_by_code.has(body.code))
    return { refused: refusal(409, 'account_code_taken', '#/code') };
  const accepted: NewAccount = {
    code: body.code,
    name: body.name ?? null,
    type: body.type,
    currency: body.currency,
    scale,
    limits: limitsOf(body.limits),
    status: 'open',
    metadata: body.metadata ?? {},
  };
  return { accepted };
}

export function decideAccountChange(
  ledger: ReferenceLedger,
  id_or_code: string,
  body: z.output<typeof AccountChangeShape>,
): Decision<Account> {
  const account = ledger.account(id_or_code);
  if (account === undefined) return { refused: refusal(404, 'not_found') };
  const accepted: Account = {
    ...account,
    name: body.name === undefined ? account.name : body.name,
    limits: body.limits === undefined ? account.limits : limitsOf(body.limits),
    metadata: body.metadata ?? account.metadata,
  };
  return { accepted };
}

export function decideClosure(ledger: ReferenceLedger, id_or_code: string): Decision<Account> {
  const account = ledger.account(id_or_code);
  if (account === undefined) return { refused: refusal(404, 'not_found') };
  if (account.status === 'closed') return { refused: refusal(409, 'account_not_open') };
  return { accepted: { ...account, status: 'closed' } };
}

export function decideReopening(ledger: ReferenceLedger, id_or_code: string): Decision<Account> {
  const account = ledger.account(id_or_code);
  if (account === undefined) return { refused: refusal(404, 'not_found') };
  if (account.status === 'open') return { refused: refusal(409, 'account_not_closed') };
  return { accepted: { ...account, status: 'open' } };
}

function limitsOf(limits: z.output<typeof AccountShape>['limits']): Limits {
  return { available_min: bound(limits?.available_min), posted_max: bound(limits?.posted_max) };
}

/** Absent means none, `"0"` means zero. */
function bound(text: string | null | undefined): bigint | null {
  return typeof text === 'string' ? BigInt(text) : null;
}
