// A batch on its way to ledger.post_transactions: commands as arrays, one call, and what became of each command.
import { z } from 'zod';
import type { Database, Query } from '../../db.ts';
import { violates } from '../../postgres_errors.ts';
import type { ResolvedAccount } from './account_cache.ts';
import { BatchArrays, type BatchCommand, encodeBatch, TenantArrays } from './batch_arrays.ts';
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

const OptimisticResultSchema = z.object({
  state: z.enum(['posted', 'mixed', 'refused', 'uncertain', 'accounts_stale', 'halted']),
  first_position: z.number().nullable(),
  recorded_at: z.string().nullable(),
  limited_balances: z.array(z.string().nullable()).nullable(),
});
type OptimisticResult = z.infer<typeof OptimisticResultSchema>;

const BatchResultSchema = OptimisticResultSchema.extend({
  positions: z.array(z.number().nullable()).nullable(),
  outcomes: z.array(z.string()).nullable(),
  outcome_account_ids: z.array(z.string().nullable()).nullable(),
  outcome_balances: z.array(z.string().nullable()).nullable(),
  outcome_transaction_ids: z.array(z.string().nullable()).nullable(),
});
export type BatchResult = z.infer<typeof BatchResultSchema>;

/** Of a batch that was posted as it is. */
const no_outcomes = {
  positions: null,
  outcomes: null,
  outcome_account_ids: null,
  outcome_balances: null,
  outcome_transaction_ids: null,
};

const post_transactions: Query = {
  name: 'transactions_post',
  text: `select * from ledger.post_transactions($1::uuid, $2::bigint, $3::bigint, $4::uuid, $5::timestamptz, $6::boolean, $7::boolean, $8::boolean, ${new BatchArrays()
    .all()
    .map(({ type }, index) => `$${index + 9}::${type}`)
    .join(', ')})`,
  parameters: [],
};

/** What a wrong guess of the optimistic path violates; the exact path then says which command it was. */
const optimistic_constraints = ['idempotency_key_pkey', 'reference_taken', 'transaction_link_pkey'];

export interface Batch {
  tenant_id: string;
  accounts_position: number;
  commands: BatchCommand[];
  /** accounts whose balances are learnt with this batch, so that the limits of later ones cost no query */
  learning: ResolvedAccount[];
  atomic: boolean;
  dry_run: boolean;
}

/** One call for the whole batch; twice when the optimistic path was not certain, or had guessed wrong. */
export async function postBatch(
  { database, balances }: { database: Database; balances: LimitedBalances },
  batch: Batch,
): Promise<BatchResult> {
  const attempted = batch.dry_run ? null : attempt(balances, batch);
  const optimistic = attempted === null ? null : await postOptimistically(database, balances, attempted);
  if (optimistic !== null && optimistic.state !== 'uncertain') return optimistic;

  const worst = worstEffects(draftsOf(batch));
  const result = await call(
    database,
    batch,
    null,
    true,
    encodeBatch(batch.commands, [...worst.values()], true),
  );
  if (batch.dry_run || result.recorded_at === null || result.first_position === null) return result;
  const posted = batch.commands.filter(
    ({ draft }, index) => draft !== null && result.state === 'mixed' && result.outcomes?.[index] === 'posted',
  );
  learn(balances, { ...batch, commands: posted }, result.first_position, result.recorded_at);
  return result;
}

/** Keeps what the exact path has posted of a batch; it looks up no balances that could be kept. */
function learn(balances: LimitedBalances, batch: Batch, first_position: number, recorded_at: string): void {
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

function draftsOf(batch: Batch): Draft[] {
  return batch.commands.flatMap(({ draft }) => (draft === null ? [] : [draft]));
}

/** Of the event that comes last in the log, if a batch is posted; null when it only stores answers. */
function lastEventId(batch: Batch): string | null {
  return batch.commands.findLast(({ draft }) => draft !== null)?.event_id ?? null;
}

/** The last event of a log, as far as the process knows. */
interface Head {
  position: number;
  /** uuid */
  event_id: string;
  /** of that event, or of one before it */
  recorded_at: string;
}

/** An optimistic call, prepared: what it looks up, and what it relies on. */
interface Attempt {
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
function attempt(balances: LimitedBalances, batch: Batch): Attempt | null {
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
function expectPosted(balances: LimitedBalances, { batch, drafts, known }: Attempt): void {
  const { tenant_id, accounts_position } = batch;
  const event_id = lastEventId(batch);
  if (event_id === null) return;
  if (known === null) balances.forget(tenant_id);
  else balances.expect(tenant_id, { event_id, accounts_position, drafts });
}

/** Keeps what an attempt has taught about balances, or takes back what was expected of it. Null: it failed. */
function settle(balances: LimitedBalances, attempted: Attempt, result: OptimisticResult | null): void {
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

/** Null when the guess was wrong. */
async function postOptimistically(
  database: Database,
  balances: LimitedBalances,
  attempted: Attempt,
): Promise<BatchResult | null> {
  const { batch, unknown, head, relies } = attempted;
  const arrays = encodeBatch(batch.commands, unknown, false);
  expectPosted(balances, attempted);
  let result: BatchResult | null = null;
  try {
    result = await call(database, batch, relies ? head : null, false, arrays).catch(nullIfGuessedWrong);
  } finally {
    settle(balances, attempted, result);
  }
  return result;
}

function nullIfGuessedWrong(error: unknown): null {
  if (violates(error, optimistic_constraints)) return null;
  throw error;
}

/** The arrays of ledger.post_batches after those of tenants, in its order. */
const shared_arrays = [
  'key_hashes',
  'request_hashes',
  'event_ids',
  'types',
  'subject_ids',
  'data',
  'actor_ids',
  'request_ids',
  'effective_ats',
  'reference_hashes',
  'target_expires_ats',
  'entry_commands',
  'entry_ordinals',
  'entry_account_ids',
  'entry_layers',
  'entry_directions',
  'entry_amounts',
  'entry_effective_ats',
  'entry_expires_ats',
  'pair_commands',
  'pair_hashes',
  'limited_ids',
  'limited_debit_normals',
  'limited_available_mins',
  'limited_posted_maxs',
  'limited_worst_outs',
  'limited_worst_ins',
] as const;

const post_batches: Query = {
  name: 'batches_post',
  text: `select state, first_position, recorded_at, limited_balances from ledger.post_batches(${[
    ...new TenantArrays().all(),
    ...shared_arrays.map((name) => new BatchArrays()[name]),
  ]
    .map(({ type }, index) => `$${index + 1}::${type}`)
    .join(', ')})`,
  parameters: [],
};

function encodeTenants(attempts: Attempt[]): TenantArrays {
  const arrays = new TenantArrays();
  attempts.forEach(({ batch, head, relies, unknown }, index) => {
    arrays.tenant_ids.add(batch.tenant_id);
    arrays.accounts_positions.add(batch.accounts_position);
    arrays.head_positions.add(head?.position ?? null);
    arrays.head_ids.add(head?.event_id ?? null);
    arrays.head_ats.add(head?.recorded_at ?? null);
    arrays.rely_on_balances.add(relies);
    arrays.command_counts.add(batch.commands.length);
    arrays.limited_counts.add(unknown.length);
    for (const { draft } of batch.commands) {
      arrays.command_tenants.add(index + 1);
      for (const _ of draft?.entries ?? []) arrays.entry_tenants.add(index + 1);
    }
  });
  return arrays;
}

/**
 * Plain batches of several tenants in one call: one commit for all. The next ones may be sent before this answers: they are prepared on what
 * is expected of these, and Postgres takes them in order. Null for a batch that is to be posted alone, because something about
 * it is not certain. None of them is atomic, a dry run, or has answers or targets.
 */
export async function postBatches(
  { database, balances }: { database: Database; balances: LimitedBalances },
  batches: Batch[],
): Promise<Map<Batch, BatchResult | null>> {
  const results = new Map<Batch, BatchResult | null>(batches.map((batch) => [batch, null]));
  const attempts = batches
    .map((batch) => attempt(balances, batch))
    .filter((each) => each !== null)
    .sort((a, b) => (a.batch.tenant_id < b.batch.tenant_id ? -1 : 1));
  if (attempts.length === 0) return results;
  const commands = attempts.flatMap(({ batch }) => batch.commands);
  const arrays = encodeBatch(
    commands,
    attempts.flatMap(({ unknown }) => unknown),
    false,
  );
  const values = [...encodeTenants(attempts).all(), ...shared_arrays.map((name) => arrays[name])];
  for (const attempted of attempts) expectPosted(balances, attempted);
  let rows: OptimisticResult[] | null = null;
  try {
    const answered = await database
      .callInOrder(
        post_batches,
        values.map((array) => array.text()),
      )
      .catch(nullIfGuessedWrong);
    rows = answered?.map((row) => OptimisticResultSchema.parse(row)) ?? null;
  } finally {
    attempts.forEach((attempted, index) => {
      const row = rows?.[index] ?? null;
      settle(balances, attempted, row);
      if (row?.state === 'posted') results.set(attempted.batch, { ...no_outcomes, ...row });
    });
  }
  return results;
}

async function call(
  database: Database,
  batch: Batch,
  relied_on: Head | null,
  exact: boolean,
  arrays: BatchArrays,
): Promise<BatchResult> {
  const [row] = await database.callWith(post_transactions, [
    batch.tenant_id,
    batch.accounts_position,
    relied_on?.position ?? null,
    relied_on?.event_id ?? null,
    relied_on?.recorded_at ?? null,
    exact,
    batch.atomic,
    batch.dry_run,
    ...arrays.all().map((array) => array.text()),
  ]);
  return BatchResultSchema.parse(row);
}
