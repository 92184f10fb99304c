// From a request to what will be written: a draft has its accounts resolved and its money rules checked, or it is a problem.
// What only the database can know (keys, references, limits) is decided in ledger.post_transactions.
import { Problem } from '../../errors.ts';
import { hash16 } from '../../hash.ts';
import { addSeconds, compareInstants } from '../../instant.ts';
import { fitsAmount } from '../../money.ts';
import type { ResolvedAccount } from './account_cache.ts';
import type { Direction, EntryRequest, TransactionRequest } from './transaction_schema.ts';

export type Layer = 'posted' | 'pending';

export interface DraftEntry {
  account: ResolvedAccount;
  layer: Layer;
  direction: Direction;
  /** minor units; negative only to release a hold */
  amount: bigint;
  /** when it differs from the draft's */
  effective_at?: string;
}

/** What a follow-up found its target to be; written only if that is still so. */
export interface DraftTarget {
  /** uuid */
  id: string;
  /** of the link that this follow-up adds; somebody else's would have the same */
  number: number;
  kind: 'capture' | 'void' | 'expiry' | 'reversal';
  final: boolean;
  /** from then on the target is no longer as it was found */
  expires_at: string | null;
}

/** A transaction, or what happens to one, ready to be written. */
export interface Draft {
  event_type: string;
  /** uuid of the transaction that the event is about */
  subject_id: string;
  /** JSON text of the event's data */
  data: string;
  entries: DraftEntry[];
  effective_at: string | null;
  expires_at: string | null;
  reference: string | null;
  metadata: Record<string, string>;
  target: DraftTarget | null;
  /** whether limits may refuse it; holds that end and forced reversals pass */
  limits_apply: boolean;
  /** JSON text answered instead of the event's transaction, with status 200 */
  answer: string | null;
}

/** Answers accounts of one tenant by id or code; undefined when there is none. */
export type Resolve = (reference: string) => ResolvedAccount | undefined;

/** uuid under which a reference is taken */
export function referenceHash(reference: string): string {
  return hash16(`reference ${reference}`);
}

/** uuid under which a metadata pair is found; the length keeps key and value apart */
export function metadataPairHash(key: string, value: string): string {
  return hash16(`metadata ${key.length} ${key} ${value}`);
}

/** Entries with their accounts: account_not_found, then currency_mismatch; the first entry that is wrong is named. */
export function resolveEntries(resolve: Resolve, requested: EntryRequest[], layer: Layer): DraftEntry[] {
  const entries: DraftEntry[] = [];
  for (const [index, entry] of requested.entries()) {
    const account = resolve(entry.account);
    if (account === undefined) {
      const detail = `There is no account ${entry.account}`;
      throw entryProblem('account_not_found', detail, index, 'account', { account: entry.account });
    }
    entries.push({ account, layer, direction: entry.direction, amount: BigInt(entry.amount) });
  }
  for (const [index, entry] of requested.entries()) {
    const account = entries[index]?.account;
    if (account === undefined || entry.currency === undefined || entry.currency === account.currency)
      continue;
    const detail = `${account.code} is in ${account.currency}, not ${entry.currency}`;
    throw entryProblem('currency_mismatch', detail, index, 'currency', {
      account: account.code,
      currency: account.currency,
    });
  }
  return entries;
}

/** entries_unbalanced, for the first currency whose debits and credits differ. */
export function checkBalance(entries: DraftEntry[]): void {
  for (const [currency, { debits, credits }] of totals(entries)) {
    if (debits === credits) continue;
    throw new Problem('entries_unbalanced', `${currency}: debits are ${debits}, credits ${credits}`, {
      extras: { currency, debits: `${debits}`, credits: `${credits}` },
      errors: [
        {
          pointer: '#/entries',
          code: 'entries_unbalanced',
          detail: `debits and credits in ${currency} differ`,
        },
      ],
    });
  }
}

/** accounts_must_differ, then account_closed, then amount_too_large. */
export function checkAccounts(entries: DraftEntry[]): void {
  if (!movesBetweenAccounts(entries)) {
    throw new Problem('accounts_must_differ', 'Each account gets back what it gives, so nothing moves', {
      errors: [
        {
          pointer: '#/entries',
          code: 'accounts_must_differ',
          detail: 'nothing moves between different accounts',
        },
      ],
    });
  }
  for (const [index, entry] of entries.entries()) {
    if (entry.account.status === 'open') continue;
    throw entryProblem('account_closed', `${entry.account.code} is closed`, index, 'account', {
      account: entry.account.code,
    });
  }
  for (const [currency, { debits }] of totals(entries)) {
    if (fitsAmount(debits)) continue;
    const detail = `The debits in ${currency} have more than 38 digits`;
    throw new Problem('amount_too_large', detail, {
      extras: { currency },
      errors: [{ pointer: '#/entries', code: 'amount_too_large', detail }],
    });
  }
}

function movesBetweenAccounts(entries: DraftEntry[]): boolean {
  const [first, second] = entries;
  if (entries.length === 2 && first !== undefined && second !== undefined)
    return first.account.id !== second.account.id;
  const net = new Map<string, bigint>();
  for (const entry of entries) {
    const signed = entry.direction === 'debit' ? entry.amount : -entry.amount;
    net.set(entry.account.id, (net.get(entry.account.id) ?? 0n) + signed);
  }
  return [...net.values()].some((amount) => amount !== 0n);
}

/** currency → total debits and credits, in order of first appearance */
function totals(entries: DraftEntry[]): Map<string, { debits: bigint; credits: bigint }> {
  const found = new Map<string, { debits: bigint; credits: bigint }>();
  for (const entry of entries) {
    let total = found.get(entry.account.currency);
    if (total === undefined) {
      total = { debits: 0n, credits: 0n };
      found.set(entry.account.currency, total);
    }
    if (entry.direction === 'debit') total.debits += entry.amount;
    else total.credits += entry.amount;
  }
  return found;
}

/** The amount of a transaction in one currency: its total debits. Null for several currencies, where one number says nothing. */
export function singleTotal(entries: DraftEntry[]): bigint | null {
  const found = [...totals(entries).values()];
  const [only] = found;
  return found.length === 1 && only !== undefined ? only.debits : null;
}

function entryProblem(
  code: 'account_not_found' | 'currency_mismatch' | 'account_closed',
  detail: string,
  index: number,
  field: string,
  extras: Record<string, string>,
): Problem {
  return new Problem(code, detail, {
    errors: [{ pointer: `#/entries/${index}/${field}`, code, detail }],
    extras,
  });
}

/** `[{"account_id": …}, …]` of entries of a transaction, as JSON text */
export function entriesJson(entries: Pick<DraftEntry, 'account' | 'direction' | 'amount'>[]): string {
  let text = '[';
  for (const entry of entries) {
    if (text.length > 1) text += ',';
    const { json_head, json_tail } = entry.account;
    text += `${json_head}"direction":"${entry.direction}","amount":"${entry.amount}",${json_tail}`;
  }
  return `${text}]`;
}

/** What every transaction's event says, as JSON text without the outer braces; `actor` is a TypeID. */
export function factsJson(
  facts: {
    status: 'posted' | 'pending';
    entries: DraftEntry[];
    links: string;
    expires_at: string | null;
    description: string | null;
    reference: string | null;
    metadata: Record<string, string>;
  },
  actor: string,
): string {
  const quoted = (text: string | null) => (text === null ? 'null' : JSON.stringify(text));
  return (
    `{"status":"${facts.status}","entries":${entriesJson(facts.entries)},${facts.links}"reversed_by":[],` +
    `"expires_at":${quoted(facts.expires_at)},"description":${quoted(facts.description)},"reference":${quoted(facts.reference)},` +
    `"metadata":${JSON.stringify(facts.metadata)},"actor_id":"${actor}"}`
  );
}

/** A posting or a hold. */
export function draftPosting(
  resolve: Resolve,
  request: TransactionRequest,
  ids: { transaction_id: string; actor: string },
  now: string | null,
): Draft {
  const status = request.status ?? 'posted';
  const entries = resolveEntries(resolve, request.entries, status);
  checkBalance(entries);
  checkAccounts(entries);
  const expires_at = expiryOf(request, now);
  const total = status === 'pending' ? singleTotal(entries) : null;
  const held = total === null ? '' : `"captured":"0","remaining":"${total}",`;
  const description = request.description ?? null;
  const reference = request.reference ?? null;
  const metadata = request.metadata ?? {};
  const links = status === 'pending' ? `${held}"captured_by":[],` : '';
  return {
    event_type: status === 'posted' ? 'ledger.transaction_posted' : 'ledger.transaction_held',
    subject_id: ids.transaction_id,
    data: factsJson({ status, entries, links, expires_at, description, reference, metadata }, ids.actor),
    entries,
    effective_at: request.effective_at ?? null,
    expires_at,
    reference,
    metadata,
    target: null,
    limits_apply: true,
    answer: null,
  };
}

/** When a hold ends; `now` is the database's clock. Errors: `expiry_in_past`. */
function expiryOf(request: TransactionRequest, now: string | null): string | null {
  const { expires_at = null, expires_in_seconds } = request;
  if (expires_at === null && expires_in_seconds === undefined) return null;
  if (now === null) throw new Error('a hold that expires needs the time');
  if (expires_in_seconds !== undefined) return addSeconds(now, expires_in_seconds);
  if (expires_at !== null && compareInstants(expires_at, now) <= 0) {
    throw new Problem('expiry_in_past', `The hold would have expired at ${expires_at}`, {
      errors: [{ pointer: '#/expires_at', code: 'expiry_in_past', detail: 'lies in the past' }],
    });
  }
  return expires_at;
}

/** Whether drafting this needs the time: of the database, as the hold ends by its clock. */
export function hasExpiry(request: TransactionRequest): boolean {
  return (request.expires_at ?? null) !== null || request.expires_in_seconds !== undefined;
}
