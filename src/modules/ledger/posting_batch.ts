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

const BatchResultSchema = z.object({
  state: z.enum(['posted', 'mixed', 'refused', 'uncertain', 'accounts_stale', 'halted']),
  first_position: z.number().nullable(),
  recorded_at: z.string().nullable(),
  positions: z.array(z.number().nullable()).nullable(),
  outcomes: z.array(z.string()).nullable(),
  outcome_account_ids: z.array(z.string().nullable()).nullable(),
  outcome_balances: z.array(z.string().nullable()).nullable(),
  outcome_transaction_ids: z.array(z.string().nullable()).nullable(),
  limited_balances: z.array(z.string().nullable()).nullable(),
});
export type BatchResult = z.infer<typeof BatchResultSchema>;

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
function encodeBatch(
  commands: BatchCommand[],
  limited: WorstEffect[],
  with_effects: boolean,
): (string | null)[] {
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
  return arrays.all().map((array) => array.text());
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
  const drafts = batch.commands.flatMap(({ draft }) => (draft === null ? [] : [draft]));
  const worst = worstEffects(drafts);
  const optimistic = batch.dry_run
    ? null
    : await postOptimistically(database, balances, batch, drafts, worst);
  if (optimistic !== null && optimistic.state !== 'uncertain') return optimistic;

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

/** Null when what is known says already that a command may have to be refused. */
async function postOptimistically(
  database: Database,
  balances: LimitedBalances,
  batch: Batch,
  drafts: Draft[],
  worst: Map<string, WorstEffect>,
): Promise<BatchResult | null> {
  const known = balances.maybeKnown(batch.tenant_id);
  const constrained = [...worst.values()].filter(isConstrained);
  const unknown: WorstEffect[] = [];
  for (const each of constrained) {
    const balance = known?.balances.get(each.account.id);
    if (balance === undefined) unknown.push(each);
    else if (!staysWithin(each, balance)) return null;
  }
  const relied_on = unknown.length < constrained.length ? known : null;
  const arrays = encodeBatch(batch.commands, unknown, false);
  const result = await call(database, batch, relied_on, false, arrays).catch((error: unknown) => {
    if (violates(error, optimistic_constraints)) return null;
    throw error;
  });
  if (result === null) return null;
  if (result.state === 'uncertain') balances.forget(batch.tenant_id);
  if (result.state === 'posted' && result.first_position !== null && result.recorded_at !== null) {
    const found = new Map<string, bigint>();
    unknown.forEach((each, index) => {
      const balance = result.limited_balances?.[index] ?? null;
      if (balance !== null) found.set(each.account.id, BigInt(balance));
    });
    balances.advance(batch.tenant_id, {
      is_next: relied_on !== null || known?.position === result.first_position - 1,
      position: result.first_position - 1 + drafts.length,
      recorded_at: result.recorded_at,
      found,
      posted: drafts,
    });
  }
  return result;
}

async function call(
  database: Database,
  batch: Batch,
  relied_on: { position: number; recorded_at: string } | null,
  exact: boolean,
  arrays: (string | null)[],
): Promise<BatchResult> {
  const [row] = await database.callWith(post_transactions, [
    batch.tenant_id,
    batch.accounts_position,
    relied_on?.position ?? null,
    relied_on?.recorded_at ?? null,
    exact,
    batch.atomic,
    batch.dry_run,
    ...arrays,
  ]);
  return BatchResultSchema.parse(row);
}
