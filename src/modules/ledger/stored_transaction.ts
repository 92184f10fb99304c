// A transaction as the log has it, with what happened to it since, and its two renderings: as it was answered, and as it is now.
import { z } from 'zod';
import { encodeId } from '../../id.ts';
import { compareInstants } from '../../instant.ts';
import { DirectionSchema, type Transaction, TransactionFactsSchema } from './transaction_schema.ts';

const LinkSchema = z.object({
  number: z.int(),
  kind: z.enum(['capture', 'void', 'expiry', 'reversal']),
  by_transaction_id: z.uuid().nullable(),
  final: z.boolean(),
});

const LineSchema = z.object({
  account_id: z.uuid(),
  layer: z.enum(['posted', 'pending']),
  direction: DirectionSchema,
  /** of the transaction itself, not of a capture, release or reversal of it */
  own: z.boolean(),
  amount: z.string().transform(BigInt),
});
/** What the entries of an account, layer and side come to: there is one of each. */
export type StoredLine = z.infer<typeof LineSchema>;

const max_named_follow_ups = 100;

const jsonText = z.string().transform((text): unknown => JSON.parse(text));

/** A row of ledger.find_transactions. */
export const StoredTransactionSchema = z
  .object({
    id: z.uuid(),
    position: z.int(),
    type: z.string(),
    /** JSON text of the event's data */
    data: z.string(),
    effective_at: z.string(),
    recorded_at: z.string(),
    links: jsonText.pipe(z.array(LinkSchema)),
    lines: jsonText.pipe(z.array(LineSchema)),
    /** the database's clock when the row was read */
    observed_at: z.string(),
  })
  .transform((row) => ({ ...row, facts: TransactionFactsSchema.parse(JSON.parse(row.data)) }))
  // A group adds links of its own, which are kept only if all of it is.
  .transform((row) => ({ ...row, expires_at: row.facts.expires_at, kept_links: row.links.length }));
export type StoredTransaction = z.infer<typeof StoredTransactionSchema>;

export interface TransactionState {
  status: Transaction['status'];
  /** whether the log records the end of the hold; an expiry counts before that */
  ended: boolean;
  /** total debits, of a hold in one currency */
  captured: bigint;
  remaining: bigint;
  /** TypeIDs */
  captured_by: string[];
  reversed_by: string[];
}

/** Its status at an instant (RFC 3339; null when expiry does not matter). Costs the same however much has happened to it. */
export function statusAt(
  stored: StoredTransaction,
  now: string | null,
): Pick<TransactionState, 'status' | 'ended'> {
  if (stored.type !== 'ledger.transaction_held') return { status: 'posted', ended: false };
  // Nothing follows what ends a hold.
  const last = stored.links.at(-1);
  const ends = { capture: 'posted', void: 'voided', expiry: 'expired', reversal: 'posted' } as const;
  if (last?.final === true) return { status: ends[last.kind], ended: true };
  const has_expired =
    stored.expires_at !== null && now !== null && compareInstants(stored.expires_at, now) <= 0;
  return { status: has_expired ? 'expired' : 'pending', ended: false };
}

/** TypeIDs of its captures or reversals that are kept, the newest: as many as a refusal names, of which one request may get thousands. */
export function newestFollowUps(stored: StoredTransaction): string[] {
  return followUpIds(stored.links.slice(0, stored.kept_links).slice(-max_named_follow_ups));
}

function followUpIds(links: StoredTransaction['links']): string[] {
  return links.flatMap(({ by_transaction_id }) =>
    by_transaction_id === null ? [] : [encodeId('transaction', by_transaction_id)],
  );
}

/** What the transaction is at an instant (RFC 3339; null when expiry does not matter). */
export function transactionState(stored: StoredTransaction, now: string | null): TransactionState {
  const by = (kind: 'capture' | 'reversal') => followUpIds(stored.links.filter((link) => link.kind === kind));
  const sum = (layer: 'posted' | 'pending', own: boolean) =>
    stored.lines
      .filter((line) => line.layer === layer && line.direction === 'debit' && line.own === own)
      .reduce((total, line) => total + line.amount, 0n);
  const { status, ended } = statusAt(stored, now);
  return {
    status,
    ended,
    captured: stored.type === 'ledger.transaction_held' ? sum('posted', false) : 0n,
    remaining: status === 'pending' ? sum('pending', true) + sum('pending', false) : 0n,
    captured_by: by('capture'),
    reversed_by: by('reversal'),
  };
}

/**
 * A transaction as it was answered when it was recorded: what the columns say, then the event's own text. A replay renders the same
 * columns and text, so it answers the same bytes.
 */
export function renderRecorded(recorded: {
  id: string;
  position: number;
  recorded_at: string;
  effective_at: string;
  data: string;
}): string {
  return (
    `{"id":"${encodeId('transaction', recorded.id)}","position":${recorded.position},"recorded_at":"${recorded.recorded_at}",` +
    `"effective_at":"${recorded.effective_at}",${recorded.data.slice(1)}`
  );
}

/** A transaction in a given state, as JSON text. */
export function renderTransaction(stored: StoredTransaction, state: TransactionState): string {
  return JSON.stringify(presentTransaction(stored, state));
}

export function presentTransaction(stored: StoredTransaction, state: TransactionState) {
  const { captured, remaining, ...facts } = stored.facts;
  const one_currency = captured !== undefined && remaining !== undefined;
  return {
    id: encodeId('transaction', stored.id),
    position: stored.position,
    recorded_at: stored.recorded_at,
    effective_at: stored.effective_at,
    ...facts,
    status: state.status,
    ...(one_currency ? { captured: `${state.captured}`, remaining: `${state.remaining}` } : {}),
    ...(facts.captured_by === undefined ? {} : { captured_by: state.captured_by }),
    reversed_by: state.reversed_by,
  };
}
