// What became of the steps of a batch, in the words that the client is answered.
import type { Counter } from 'prom-client';
import type { Database } from '../../db.ts';
import { keyReused, Problem } from '../../errors.ts';
import { encodeId } from '../../id.ts';
import { atAskedField, type Outcome } from './command.ts';
import type { Draft } from './draft.ts';
import type { Unit } from './lanes.ts';
import { effectsOf } from './limited_balances.ts';
import type { BatchResult } from './posting_batch.ts';
import { asAnswer, isSticky, type Step } from './steps.ts';
import { renderRecorded } from './stored_transaction.ts';
import { loadAnswers } from './transactions.ts';

/** The last position that a batch has appended; 0 when it appended nothing. */
export function lastPosition(result: BatchResult, written: Step[]): number {
  const { state, positions, first_position } = result;
  if (state === 'refused') return 0;
  if (positions !== null) return positions.reduce<number>((last, each) => Math.max(last, each ?? 0), 0);
  let last_position = (first_position ?? 0) - 1;
  for (const { draft } of written) if (draft !== null) last_position += 1;
  return last_position;
}

/**
 * Why ledger.post_transactions refused a command. `unwritten` are those of which nothing is written: a transaction that would be one of
 * theirs cannot be named.
 */
function refusal(
  { draft, command }: Step,
  became: string,
  index: number,
  result: BatchResult,
  unwritten: Step[],
): Problem {
  if (became === 'key_reused') return keyReused(command.origin.key_pointer);
  if (draft === null) throw new Error(`an answer became ${became}`);
  if (became === 'reference_taken') {
    return takenReference(draft.reference, result.outcome_transaction_ids?.[index] ?? null, unwritten);
  }
  const account_id = result.outcome_account_ids?.[index];
  const balance = result.outcome_balances?.[index];
  if (
    (became !== 'insufficient_funds' && became !== 'limit_exceeded') ||
    account_id == null ||
    balance == null
  ) {
    throw new Error(`a command became ${became}`);
  }
  return atAskedField(command.order, limitProblem(became, account_id, BigInt(balance), draft));
}

/** Of a transaction, or of the item of the same request that would have it. */
function takenReference(reference: string | null, holder_id: string | null, unwritten: Step[]): Problem {
  // A void is about the transaction that has the reference, and does not make it.
  const holder = unwritten.find(
    ({ draft }) => draft?.subject_id === holder_id && draft?.reference === reference,
  );
  const reference_index = holder?.command.origin.index;
  const transaction_id = holder_id === null ? null : encodeId('transaction', holder_id);
  const [taken_by, extras] =
    reference_index === undefined
      ? [transaction_id, { transaction_id }]
      : [`item ${reference_index} of the same request`, { reference_index }];
  const detail = `The reference ${reference} belongs to ${taken_by}`;
  return new Problem('reference_taken', detail, {
    extras: { reference, ...extras },
    errors: [{ pointer: '#/reference', code: 'reference_taken', detail }],
  });
}

/** Of an atomic group that cannot be posted: what the database says of the steps before its culprit, if there are any, then why that one is refused. */
export function refusedOutcomes(steps: Step[], result: BatchResult | null): Outcome[] {
  return steps.map((step, index) => {
    const became = result?.outcomes?.[index];
    const is_refused =
      became === 'key_reused' || became === 'reference_taken' || became === 'insufficient_funds';
    if (result === null || became === undefined || !(is_refused || became === 'limit_exceeded'))
      return preparedOutcome(step);
    return { state: 'rejected', problem: refusal(step, became, index, result, steps) };
  });
}

/** What a step amounts to when nothing is written. */
export function preparedOutcome(step: Step): Outcome {
  if (step.problem !== null) return { state: 'rejected', problem: step.problem };
  return { state: 'answered', replayed: false, status: 200, body: '' };
}

export function renderAnswer(
  step: Step,
  position: number,
  recorded_at: string | null,
): { status: number; body: string } {
  if (step.answer !== null) return step.answer;
  if (step.draft === null || recorded_at === null) throw new Error('a posted command without its draft');
  const { subject_id, data, effective_at } = step.draft;
  const body = renderRecorded({
    id: subject_id,
    position,
    recorded_at,
    effective_at: effective_at ?? recorded_at,
    data,
  });
  return { status: 201, body };
}

function limitProblem(
  code: 'insufficient_funds' | 'limit_exceeded',
  account_id: string,
  balance: bigint,
  draft: Draft,
): Problem {
  const effect = effectsOf(draft).find((each) => each.account.id === account_id);
  if (effect === undefined)
    throw new Error('a limit was broken by a command that does not touch its account');
  const { account } = effect;
  const pointer = `#/entries/${draft.entries.findIndex((entry) => entry.account.id === account.id)}/account`;
  if (code === 'insufficient_funds') {
    const required = -effect.available;
    const detail = `${account.code} has ${balance} available, ${required} is required and ${account.available_min} must stay`;
    return new Problem(code, detail, {
      extras: {
        account: account.code,
        available: `${balance}`,
        required: `${required}`,
        available_min: `${account.available_min}`,
      },
      errors: [{ pointer, code, detail }],
    });
  }
  const detail = `${account.code} has ${balance} posted, and ${effect.posted} more would pass ${account.posted_max}`;
  return new Problem(code, detail, {
    extras: {
      account: account.code,
      posted: `${balance}`,
      added: `${effect.posted}`,
      posted_max: `${account.posted_max}`,
    },
    errors: [{ pointer, code, detail }],
  });
}

/** Turns a batch's result into outcomes, answers its units, and returns the units that go once more. */
export async function concludeBatch(
  { database, posted }: { database: Database; posted: Counter },
  {
    tenant_id,
    units,
    steps,
    writable,
  }: { tenant_id: string; units: Unit[]; steps: Step[]; writable: Step[] },
  result: BatchResult,
): Promise<Unit[]> {
  const outcomes = new Map<Step, Outcome>();
  const again = new Set<Step>();
  const replayed: Step[] = [];
  let position = result.first_position ?? 0;
  const dry_run = units.some((unit) => unit.dry_run);
  const unwritten = dry_run || result.state === 'refused' ? steps : [];
  writable.forEach((step, index) => {
    const became = result.outcomes?.[index] ?? (step.draft === null ? 'answered' : 'posted');
    posted.inc({ outcome: became });
    if (became === 'replayed' || became === 'refused_before') replayed.push(step);
    else if (became === 'target_changed') again.add(step);
    else if (became === 'posted' || became === 'answered') {
      const at = result.positions?.[index] ?? position;
      if (step.draft !== null) position = at + 1;
      outcomes.set(step, {
        state: 'answered',
        replayed: false,
        ...renderAnswer(step, dry_run ? 0 : at, result.recorded_at),
      });
    } else
      outcomes.set(step, { state: 'rejected', problem: refusal(step, became, index, result, unwritten) });
  });
  if (replayed.length > 0) {
    const answers = await loadAnswers(
      database,
      tenant_id,
      replayed.map((step) => step.command.origin.key_hash),
    );
    for (const step of replayed) {
      const stored = answers.get(step.command.origin.key_hash);
      if (stored === undefined) throw new Error('a key is taken but has no answer');
      outcomes.set(step, { state: 'answered', status: stored.status, body: stored.body, replayed: true });
    }
  }
  for (const step of steps)
    if (step.rejection !== null) outcomes.set(step, { state: 'rejected', problem: step.rejection });

  const repeated: Unit[] = [];
  let at = 0;
  for (const unit of units) {
    const mine = steps.slice(at, at + unit.commands.length);
    at += unit.commands.length;
    if (mine.some((step) => again.has(step))) {
      repeated.push(unit);
      continue;
    }
    const answered = mine.map((step) => outcomes.get(step)).filter((outcome) => outcome !== undefined);
    const [only] = answered;
    if (!unit.atomic && !unit.dry_run && only?.state === 'rejected' && isSticky(only.problem)) {
      // A refusal is stored with the next batch, before anybody hears of it.
      const [command] = unit.commands;
      if (command !== undefined) repeated.push({ ...unit, commands: [asAnswer(command, only.problem)] });
    } else unit.resolve(answered);
  }
  return repeated;
}
