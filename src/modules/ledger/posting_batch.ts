// A batch on its way to ledger.post_transactions: commands as arrays, one call, and what became of each command.
import { z } from 'zod';
import type { Database, Query } from '../../db.ts';
import { violates } from '../../postgres_errors.ts';
import { BatchArrays, type BatchCommand, encodeBatch, TenantArrays, textsOf } from './batch_arrays.ts';
import { type LimitedBalances, type WorstEffect, worstEffects } from './limited_balances.ts';
import {
  type Attempt,
  attempt,
  type Batch,
  draftsOf,
  expectPosted,
  type Head,
  learn,
  type OptimisticResult,
  OptimisticResultSchema,
  settle,
} from './posting_attempt.ts';

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

/** One call for the whole batch; twice when the optimistic path was not certain, or had guessed wrong. */
export async function postBatch(
  { database, balances }: { database: Database; balances: LimitedBalances },
  batch: Batch,
): Promise<BatchResult> {
  const attempted = batch.dry_run ? null : attempt(balances, batch);
  const optimistic =
    attempted === null ? null : await postOptimistically(database, balances, attempted, null);
  if (optimistic !== null && optimistic.state !== 'uncertain') return optimistic;

  const worst = worstEffects(draftsOf(batch));
  const result = await call(
    database,
    batch,
    null,
    true,
    encodeBatch(batch.commands, [...worst.values()], true),
    null,
  );
  if (batch.dry_run || result.recorded_at === null || result.first_position === null) return result;
  const posted = batch.commands.filter(
    ({ draft }, index) => draft !== null && result.state === 'mixed' && result.outcomes?.[index] === 'posted',
  );
  learn(balances, { ...batch, commands: posted }, result.first_position, result.recorded_at);
  return result;
}

/**
 * An atomic group in one optimistic call. The next one of its tenant may be sent on the same `pipe` before this answers: it is prepared on what
 * is expected of this one. Null when it is to be posted alone, because something about it is not certain: nothing of it is written then.
 */
export async function postGroup(
  { database, balances }: { database: Database; balances: LimitedBalances },
  batch: Batch,
  pipe: number,
): Promise<BatchResult | null> {
  const attempted = attempt(balances, batch);
  const result = attempted === null ? null : await postOptimistically(database, balances, attempted, pipe);
  return result?.state === 'posted' ? result : null;
}

/** Null when the guess was wrong. */
async function postOptimistically(
  database: Database,
  balances: LimitedBalances,
  attempted: Attempt,
  pipe: number | null,
): Promise<BatchResult | null> {
  const { batch, unknown, head, relies } = attempted;
  const arrays = encodeBatch(batch.commands, unknown, false);
  expectPosted(balances, attempted);
  let result: BatchResult | null = null;
  try {
    result = await call(database, batch, relies ? head : null, false, arrays, pipe).catch(nullIfGuessedWrong);
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
const shared_names = [
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

function sharedArrays(arrays: BatchArrays) {
  const shared: BatchArrays[(typeof shared_names)[number]][] = [];
  for (const name of shared_names) shared.push(arrays[name]);
  return shared;
}

const post_batches: Query = {
  name: 'batches_post',
  text: `select state, first_position, recorded_at, limited_balances from ledger.post_batches(${[
    ...new TenantArrays().all(),
    ...sharedArrays(new BatchArrays()),
  ]
    .map(({ type }, index) => `$${index + 1}::${type}`)
    .join(', ')})`,
  parameters: [],
};

function byTenant(a: Attempt, b: Attempt): number {
  return a.batch.tenant_id < b.batch.tenant_id ? -1 : 1;
}

/** The parameters of one call for all of them, in order. */
function encodeTogether(attempts: Attempt[]): (string | null)[] {
  const commands: BatchCommand[] = [];
  const limited: WorstEffect[] = [];
  for (const { batch, unknown } of attempts) {
    commands.push(...batch.commands);
    limited.push(...unknown);
  }
  const arrays = encodeBatch(commands, limited, false);
  return textsOf([...encodeTenants(attempts).all(), ...sharedArrays(arrays)]);
}

function encodeTenants(attempts: Attempt[]): TenantArrays {
  const arrays = new TenantArrays();
  let commands = 0;
  let limited = 0;
  for (const [index, { batch, head, relies, unknown }] of attempts.entries()) {
    arrays.tenant_ids.add(batch.tenant_id);
    arrays.accounts_positions.add(batch.accounts_position);
    arrays.head_positions.add(head?.position ?? null);
    arrays.head_ids.add(head?.event_id ?? null);
    arrays.heads_since.add(head?.recorded_at ?? null);
    arrays.rely_on_balances.add(relies);
    arrays.commands_before.add(commands);
    arrays.limited_before.add(limited);
    commands += batch.commands.length;
    limited += unknown.length;
    for (const { draft } of batch.commands) {
      arrays.command_tenants.add(index + 1);
      for (const _ of draft?.entries ?? []) arrays.entry_tenants.add(index + 1);
    }
  }
  return arrays;
}

/**
 * Plain batches of several tenants in one call: one commit for all. The next ones of these tenants may be sent on the same `pipe` before this
 * answers: they are prepared on what is expected of these, and Postgres takes them in order. Null for a batch that is to be posted
 * alone, because something about it is not certain. None of them is atomic, a dry run, or has answers or targets.
 */
export async function postBatches(
  { database, balances }: { database: Database; balances: LimitedBalances },
  batches: Batch[],
  pipe: number,
): Promise<Map<Batch, BatchResult | null>> {
  const results = new Map<Batch, BatchResult | null>();
  const attempts: Attempt[] = [];
  for (const batch of batches) {
    results.set(batch, null);
    const attempted = attempt(balances, batch);
    if (attempted !== null) attempts.push(attempted);
  }
  if (attempts.length === 0) return results;
  attempts.sort(byTenant);
  const values = encodeTogether(attempts);
  for (const attempted of attempts) expectPosted(balances, attempted);
  const rows: OptimisticResult[] = [];
  try {
    const answered = await database.callInOrder(pipe, post_batches, values).catch(nullIfGuessedWrong);
    for (const row of answered ?? []) rows.push(OptimisticResultSchema.parse(row));
  } finally {
    for (const [index, attempted] of attempts.entries()) {
      const row = rows[index] ?? null;
      settle(balances, attempted, row);
      if (row?.state === 'posted') results.set(attempted.batch, { ...no_outcomes, ...row });
    }
  }
  return results;
}

async function call(
  database: Database,
  batch: Batch,
  relied_on: Head | null,
  exact: boolean,
  arrays: BatchArrays,
  pipe: number | null,
): Promise<BatchResult> {
  const values = [
    batch.tenant_id,
    batch.accounts_position,
    relied_on?.position ?? null,
    relied_on?.event_id ?? null,
    relied_on?.recorded_at ?? null,
    exact,
    batch.atomic,
    batch.dry_run,
    ...textsOf(arrays.all()),
  ];
  const [row] =
    pipe === null
      ? await database.callWith(post_transactions, values)
      : await database.callInOrder(pipe, post_transactions, values);
  return BatchResultSchema.parse(row);
}
