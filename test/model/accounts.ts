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
  if (ledger.account_ids_by_code.has(body.code)) return { refused: refusal(409, 'account_code_taken') };
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
    limits: {
      available_min: patched(account.limits.available_min, body.limits?.available_min),
      posted_max: patched(account.limits.posted_max, body.limits?.posted_max),
    },
    metadata: patchedMetadata(account.metadata, body.metadata),
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

/** A merge patch: what is absent stays, null removes. */
function patched(limit: bigint | null, text: string | null | undefined): bigint | null {
  return text === undefined ? limit : bound(text);
}

function patchedMetadata(metadata: Account['metadata'], patch: Record<string, string | null> = {}) {
  return Object.fromEntries(
    Object.entries({ ...metadata, ...patch }).flatMap(([key, value]) =>
      value === null ? [] : [[key, value]],
    ),
  );
}
