// What a call of postings relies on and is expected to do: prepared on the balances that the process knows, counted when it is sent, and kept or
// taken back when it is answered.
import { z } from 'zod';
import type { ResolvedAccount } from './account_cache.ts';
import type { BatchCommand } from './batch_arrays.ts';
import type { Draft } from './draft.ts';
import {
  isConstrained,
  type Known,
  type LimitedBalances,
  type Posted,
  staysWithin,
  type WorstEffect,
  worstEffects,
} from './limited_balances.ts';

export const OptimisticResultSchema = z.object({
  state: z.enum(['posted', 'mixed', 'refused', 'uncertain', 'accounts_stale', 'halted']),
  first_position: z.number().nullable(),
  recorded_at: z.string().nullable(),
  limited_balances: z.array(z.string().nullable()).nullable(),
});
export type OptimisticResult = z.infer<typeof OptimisticResultSchema>;

export interface Batch {
  tenant_id: string;
  accounts_position: number;
  commands: BatchCommand[];
  /** accounts whose balances are learnt with this batch, so that the limits of later ones cost no query */
  learning: ResolvedAccount[];
  atomic: boolean;
  dry_run: boolean;
}

export function draftsOf(batch: Batch): Draft[] {
  const drafts: Draft[] = [];
  for (const { draft } of batch.commands) if (draft !== null) drafts.push(draft);
  return drafts;
}

/** Of the event that comes last in the log, if a batch is posted; null when it only stores answers. */
function lastEventId({ commands }: Batch): string | null {
  for (let index = commands.length - 1; index >= 0; index -= 1) {
    const command = commands[index];
    if (command !== undefined && command.draft !== null) return command.event_id;
  }
  return null;
}

/** The last event of a log, as far as the process knows. */
export interface Head {
  position: number;
  /** uuid */
  event_id: string;
  /** of that event, or of one before it */
  recorded_at: string;
}

/** An optimistic call, prepared: what it looks up, and what it relies on. */
export interface Attempt {
  batch: Batch;
  drafts: Draft[];
  /** limited accounts whose balances are to be looked up, and checked as far as the batch concerns them */
  unknown: WorstEffect[];
  known: Known | null;
  /** of what is known */
  head: Head | null;
  /** whether the limits of some accounts are left out, because their known balances meet them */
  relies: boolean;
}

/** Null when what is known says already that a command may have to be refused. */
export function attempt(balances: LimitedBalances, batch: Batch): Attempt | null {
  const drafts = draftsOf(batch);
  const newest = balances.maybeKnown(batch.tenant_id);
  // A batch that was prepared on older accounts may have missed a change that is known here to have been before.
  const known = newest !== null && newest.accounts_position <= batch.accounts_position ? newest : null;
  const constrained = [...worstEffects(drafts).values()].filter(isConstrained);
  const unknown = new Map<string, WorstEffect>();
  for (const each of constrained) {
    const balance = known?.balances.get(each.account.id);
    if (balance === undefined) unknown.set(each.account.id, each);
    else if (!staysWithin(each, balance)) return null;
  }
  const relies = unknown.size < constrained.length;
  for (const account of batch.learning) {
    if (known?.balances.has(account.id) || unknown.has(account.id)) continue;
    unknown.set(account.id, { account, out: 0n, in: 0n });
  }
  const head: Head | null =
    known === null
      ? null
      : { position: known.position, event_id: known.event_id, recorded_at: known.recorded_at };
  return { batch, drafts, unknown: [...unknown.values()], known, head, relies };
}

/** Counts an attempt that is being sent, so that the next one can be prepared on it. Without knowledge of the log the next one waits. */
export function expectPosted(balances: LimitedBalances, { batch, drafts, known }: Attempt): void {
  const { tenant_id, accounts_position } = batch;
  const event_id = lastEventId(batch);
  if (event_id === null) return;
  if (known === null) balances.forget(tenant_id);
  else balances.expect(tenant_id, { event_id, accounts_position, drafts });
}

/** Keeps what an attempt has taught about balances, or takes back what was expected of it. Null: it failed. */
export function settle(balances: LimitedBalances, attempted: Attempt, result: OptimisticResult | null): void {
  const { batch, drafts, unknown, known, head, relies } = attempted;
  const { tenant_id, accounts_position } = batch;
  const event_id = lastEventId(batch);
  if (event_id === null) return;
  if (result?.state !== 'posted' || result.first_position === null || result.recorded_at === null) {
    balances.forget(tenant_id);
    return;
  }
  const found = new Map<string, bigint>();
  unknown.forEach((each, index) => {
    const balance = result.limited_balances?.[index] ?? null;
    if (balance !== null) found.set(each.account.id, BigInt(balance));
  });
  const before = result.first_position - 1;
  const position = before + drafts.length;
  const posted: Posted = {
    position,
    event_id,
    recorded_at: result.recorded_at,
    accounts_position,
    found,
    drafts,
  };
  const shift = head === null ? 0 : before - head.position;
  const is_expected = known !== null && balances.maybeKnown(tenant_id) === known && (relies || shift === 0);
  if (is_expected) balances.confirm(tenant_id, posted, shift);
  else balances.begin(tenant_id, posted);
}

/** Keeps what the exact path has posted of a batch; it looks up no balances that could be kept. */
export function learn(
  balances: LimitedBalances,
  batch: Batch,
  first_position: number,
  recorded_at: string,
): void {
  const event_id = lastEventId(batch);
  if (event_id === null) return;
  const { tenant_id, accounts_position } = batch;
  const drafts = draftsOf(batch);
  const position = first_position - 1 + drafts.length;
  const posted = { position, event_id, recorded_at, accounts_position, found: new Map(), drafts };
  if (balances.maybeKnown(tenant_id)?.position !== first_position - 1) {
    balances.begin(tenant_id, posted);
    return;
  }
  balances.expect(tenant_id, posted);
  balances.confirm(tenant_id, posted, 0);
}
