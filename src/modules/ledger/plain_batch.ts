// Batches that one call posts as they are: what they are made of, and the answers when they are posted.
import type { Command, Outcome } from './command.ts';
import { answerUnits, commandsOf, type TenantBatch, type Unit } from './lanes.ts';
import { lastPosition, renderAnswer } from './outcomes.ts';
import { type OfferEvents, ownEvents } from './own_events.ts';
import type { PostingContext } from './posting_alone.ts';
import type { Batch } from './posting_attempt.ts';
import type { BatchResult } from './posting_batch.ts';
import { batchCommand, prepareSteps, type Step } from './steps.ts';

/** balances of limited accounts that one batch learns for later ones, under the tenant's lock */
const learnt_per_batch = 32;

export interface PlainBatch {
  batch: Batch;
  steps: Step[];
}

/** The batch as one that a call posts as it is: nothing that follows up a transaction. Null when it has to go alone. */
export async function maybePlain(
  context: PostingContext,
  { queue, units }: TenantBatch,
): Promise<PlainBatch | null> {
  const { tenant_id } = queue;
  const atomic = units[0]?.is_group === true;
  if (!atomic && !units.every(isPlain)) return null;
  // What goes wrong here does so again alone, where it is answered.
  const prepared = await prepareSteps(context, tenant_id, commandsOf(units), atomic).catch(nothing);
  if (prepared === null || prepared.steps.some(isRefused)) return null;
  const { steps, accounts_position } = prepared;
  const batch = {
    tenant_id,
    accounts_position,
    commands: steps.map(batchCommand),
    learning: context.accounts.takeLimited(tenant_id, learnt_per_batch),
    atomic,
    dry_run: false,
  };
  return { batch, steps };
}

/** A command by itself that posts or holds. */
function isPlain({ commands, atomic, dry_run }: Unit): boolean {
  return !atomic && !dry_run && commands.every(isPosting);
}

function isPosting({ order }: Command): boolean {
  return order.kind === 'post';
}

function isRefused({ problem }: Step): boolean {
  return problem !== null;
}

function nothing(): null {
  return null;
}

/** Answers a batch that was posted as it is, and tells those who follow the log. */
export function answerPosted(
  { database, metrics }: PostingContext,
  offerEvents: OfferEvents,
  { queue, units }: TenantBatch,
  { batch, steps }: PlainBatch,
  result: BatchResult,
): void {
  const { first_position, recorded_at } = result;
  if (first_position === null || recorded_at === null) throw new Error('a batch was posted nowhere');
  offerEvents(queue.tenant_id, () => ownEvents(batch, first_position, recorded_at));
  database.appended(queue.tenant_id, lastPosition(result, steps));
  let position = first_position;
  const outcomes: Outcome[] = [];
  for (const step of steps) {
    const { status, body } = renderAnswer(step, position, recorded_at);
    if (step.draft !== null) position += 1;
    outcomes.push({ state: 'answered', replayed: false, status, body });
  }
  const posted_count = position - first_position;
  metrics.posted.inc({ outcome: 'posted' }, posted_count);
  if (posted_count < steps.length) metrics.posted.inc({ outcome: 'answered' }, steps.length - posted_count);
  answerUnits(units, outcomes);
}
