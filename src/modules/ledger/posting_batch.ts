// A batch on its way to ledger.post_transactions: commands as arrays, one call, and what became of each command.
import { z } from 'zod';
import { type Database, type Query, violates } from '../../db.ts';
import { newUuid } from '../../id.ts';
import { BatchArrays } from './batch_arrays.ts';
import { type Draft, metadataPairHash, referenceHash } from './draft.ts';
import {
  effectsOf,
  isConstrained,
  type LimitedBalances,
  staysWithin,
  type WorstEffect,
  worstEffects,
} from './limited_balances.ts';

/** One command of a batch: a draft to be written, or only an answer to be stored under its key. */
export interface BatchCommand {
  key_hash: string;
  request_hash: string;
  actor_id: string;
  request_id: string;
  draft: Draft | null;
  /** stored as it is; with a draft, in place of the event's transaction */
  answer: { status: number; body: string } | null;
}

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
  text: `select * from ledger.post_transactions($1::uuid, $2::bigint, $3::bigint, $4::timestamptz, $5::boolean, $6::boolean, $7::boolean, ${new BatchArrays()
    .all()
    .map(({ type }, index) => `$${index + 8}::${type}`)
    .join(', ')})`,
  parameters: [],
};

/** The instant by which the draft is recorded, or else prepared again: the end of the hold that it makes or follows up. */
function mustPrecede(draft: Draft): string | null {
  if (draft.target !== null) return draft.target.expires_at;
  return draft.event_type === 'ledger.transaction_held' ? draft.expires_at : null;
}

/** The arrays of the call. The optimistic path takes no effects, and only the limited accounts that are to be looked up. */
function encodeBatch(commands: BatchCommand[], limited: WorstEffect[], with_effects: boolean): BatchArrays {
  const arrays = new BatchArrays();
  const numbers = new Map(limited.map((each, index) => [each.account.id, index + 1]));
  commands.forEach((command, index) => {
    const { draft } = command;
    const number = index + 1;
    arrays.key_hashes.add(command.key_hash);
    arrays.request_hashes.add(command.request_hash);
    arrays.answer_statuses.add(command.answer?.status ?? null);
    arrays.answers.add(command.answer?.body ?? null);
    arrays.event_ids.add(draft === null ? null : newUuid());
    arrays.types.add(draft === null ? null : draft.event_type);
    arrays.subject_ids.add(draft === null ? null : draft.subject_id);
    arrays.data.add(draft === null ? null : draft.data);
    arrays.actor_ids.add(command.actor_id);
    arrays.request_ids.addText(command.request_id);
    arrays.effective_ats.add(draft === null ? null : draft.effective_at);
    arrays.reference_hashes.add(
      draft === null || draft.reference === null ? null : referenceHash(draft.reference),
    );
    arrays.target_ids.add(draft?.target?.id ?? null);
    arrays.target_numbers.add(draft?.target?.number ?? null);
    arrays.target_kinds.add(draft?.target?.kind ?? null);
    arrays.target_finals.add(draft?.target?.final ?? null);
    arrays.target_expires_ats.add(draft === null ? null : mustPrecede(draft));
    if (draft === null) return;

    draft.entries.forEach((entry, ordinal) => {
      arrays.entry_commands.add(number);
      arrays.entry_ordinals.add(ordinal + 1);
      arrays.entry_account_ids.add(entry.account.id);
      arrays.entry_layers.add(entry.layer);
      arrays.entry_directions.add(entry.direction);
      arrays.entry_amounts.add(entry.amount);
      arrays.entry_effective_ats.add(entry.effective_at ?? draft.effective_at);
      arrays.entry_expires_ats.add(entry.layer === 'pending' ? draft.expires_at : null);
    });
    for (const [key, value] of Object.entries(draft.metadata)) {
      arrays.pair_commands.add(number);
      arrays.pair_hashes.add(metadataPairHash(key, value));
    }
    if (!with_effects) return;
    for (const effect of effectsOf(draft)) {
      arrays.effect_commands.add(number);
      arrays.effect_limiteds.add(numbers.get(effect.account.id) ?? null);
      arrays.effect_availables.add(effect.available);
      arrays.effect_posteds.add(effect.posted);
      arrays.effect_checkeds.add(draft.limits_apply);
    }
  });
  for (const each of limited) {
    arrays.limited_ids.add(each.account.id);
    arrays.limited_debit_normals.add(each.account.debit_normal);
    arrays.limited_available_mins.add(each.account.available_min);
    arrays.limited_posted_maxs.add(each.account.posted_max);
    arrays.limited_worst_outs.add(each.out);
    arrays.limited_worst_ins.add(each.in);
  }
  return arrays;
}

/** What a wrong guess of the optimistic path violates; the exact path then says which command it was. */
const optimistic_constraints = ['idempotency_key_pkey', 'reference_taken', 'transaction_link_pkey'];

export interface Batch {
  tenant_id: string;
  accounts_position: number;
  commands: BatchCommand[];
  atomic: boolean;
  dry_run: boolean;
}

/** One call for the whole batch; twice when the optimistic path was not certain, or had guessed wrong. */
export async function postBatch(
  database: Database,
  balances: LimitedBalances,
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
  const posted = batch.commands.flatMap(({ draft }, index) =>
    draft !== null && result.state === 'mixed' && result.outcomes?.[index] === 'posted' ? [draft] : [],
  );
  balances.advance(batch.tenant_id, {
    is_next: balances.maybeKnown(batch.tenant_id)?.position === result.first_position - 1,
    position: result.first_position - 1 + posted.length,
    recorded_at: result.recorded_at,
    found: new Map(),
    posted,
  });
  return result;
}

function draftsOf(batch: Batch): Draft[] {
  return batch.commands.flatMap(({ draft }) => (draft === null ? [] : [draft]));
}

/** An optimistic call, prepared: what it looks up, and what it relies on. */
interface Attempt {
  batch: Batch;
  drafts: Draft[];
  /** limited accounts whose balances are to be looked up and checked */
  unknown: WorstEffect[];
  relied_on: { position: number; recorded_at: string } | null;
}

/** Null when what is known says already that a command may have to be refused. */
function attempt(balances: LimitedBalances, batch: Batch): Attempt | null {
  const drafts = draftsOf(batch);
  const known = balances.maybeKnown(batch.tenant_id);
  const constrained = [...worstEffects(drafts).values()].filter(isConstrained);
  const unknown: WorstEffect[] = [];
  for (const each of constrained) {
    const balance = known?.balances.get(each.account.id);
    if (balance === undefined) unknown.push(each);
    else if (!staysWithin(each, balance)) return null;
  }
  return { batch, drafts, unknown, relied_on: unknown.length < constrained.length ? known : null };
}

/** Keeps what an optimistic call has taught about balances. */
function learn(
  balances: LimitedBalances,
  { batch, drafts, unknown, relied_on }: Attempt,
  result: OptimisticResult,
): void {
  if (result.state === 'uncertain') balances.forget(batch.tenant_id);
  if (result.state !== 'posted' || result.first_position === null || result.recorded_at === null) return;
  const found = new Map<string, bigint>();
  unknown.forEach((each, index) => {
    const balance = result.limited_balances?.[index] ?? null;
    if (balance !== null) found.set(each.account.id, BigInt(balance));
  });
  const before = result.first_position - 1;
  balances.advance(batch.tenant_id, {
    is_next: relied_on !== null || balances.maybeKnown(batch.tenant_id)?.position === before,
    position: before + drafts.length,
    recorded_at: result.recorded_at,
    found,
    posted: drafts,
  });
}

/** Null when the guess was wrong. */
async function postOptimistically(
  database: Database,
  balances: LimitedBalances,
  attempted: Attempt,
): Promise<BatchResult | null> {
  const { batch, unknown, relied_on } = attempted;
  const arrays = encodeBatch(batch.commands, unknown, false);
  const result = await call(database, batch, relied_on, false, arrays).catch(nullIfGuessedWrong);
  if (result !== null) learn(balances, attempted, result);
  return result;
}

function nullIfGuessedWrong(error: unknown): null {
  if (violates(error, optimistic_constraints)) return null;
  throw error;
}

/** The arrays of ledger.post_batches after the first six, in its order. */
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
    ...['uuid[]', 'bigint[]', 'bigint[]', 'timestamptz[]', 'integer[]', 'integer[]'],
    ...shared_arrays.map((name) => new BatchArrays()[name].type),
  ]
    .map((type, index) => `$${index + 1}::${type}`)
    .join(', ')})`,
  parameters: [],
};

/**
 * Plain batches of several tenants in one call: one commit for all. Null for a batch that is to be posted alone, because something about
 * it is not certain. None of them is atomic, a dry run, or has answers or targets.
 */
export async function postBatches(
  database: Database,
  balances: LimitedBalances,
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
  const rows = await database
    .callWith(post_batches, [
      attempts.map(({ batch }) => batch.tenant_id),
      attempts.map(({ batch }) => batch.accounts_position),
      attempts.map(({ relied_on }) => relied_on?.position ?? null),
      attempts.map(({ relied_on }) => relied_on?.recorded_at ?? null),
      attempts.map(({ batch }) => batch.commands.length),
      attempts.map(({ unknown }) => unknown.length),
      ...shared_arrays.map((name) => arrays[name].text()),
    ])
    .catch(nullIfGuessedWrong);
  attempts.forEach((attempted, index) => {
    if (rows === null) return;
    const row = OptimisticResultSchema.parse(rows[index]);
    learn(balances, attempted, row);
    if (row.state === 'posted') results.set(attempted.batch, { ...no_outcomes, ...row });
  });
  return results;
}

async function call(
  database: Database,
  batch: Batch,
  relied_on: { position: number; recorded_at: string } | null,
  exact: boolean,
  arrays: BatchArrays,
): Promise<BatchResult> {
  const [row] = await database.callWith(post_transactions, [
    batch.tenant_id,
    batch.accounts_position,
    relied_on?.position ?? null,
    relied_on?.recorded_at ?? null,
    exact,
    batch.atomic,
    batch.dry_run,
    ...arrays.all().map((array) => array.text()),
  ]);
  return BatchResultSchema.parse(row);
}
