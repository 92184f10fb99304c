// A command becomes a draft, an answer that needs no posting, or a refusal: what the process can decide before it asks the database.
import type { Database } from '../../db.ts';
import { Problem, problemDocument, readProblem } from '../../errors.ts';
import { encodeId, newUuid } from '../../id.ts';
import type { AccountCache } from './account_cache.ts';
import type { BatchCommand } from './batch_arrays.ts';
import { atAskedField, type Command, type Order } from './command.ts';
import { type Draft, type DraftEntry, draftPosting, hasExpiry, type Resolve } from './draft.ts';
import { draftCapture, draftExpiry, draftReversal, draftVoid } from './follow_up.ts';
import type { StoredLine, StoredTransaction } from './stored_transaction.ts';
import { loadTransactions, readClock } from './transactions.ts';

/** A command on its way, with what it has become so far. */
export interface Step {
  command: Command;
  draft: Draft | null;
  /** decided without the database's help, and to be stored */
  answer: { status: number; body: string } | null;
  /** why it is refused, if it is */
  problem: Problem | null;
  /** whether the refusal is not to be stored */
  rejection: Problem | null;
}

/** Accounts that the commands name, and those of the transactions that they follow up. */
function accountReferences(commands: Command[], targets: Map<string, StoredTransaction>): string[] {
  const references: string[] = [];
  for (const { order } of commands) {
    if (!('request' in order)) continue;
    for (const entry of order.request.entries ?? []) references.push(entry.account);
  }
  for (const { lines } of targets.values()) {
    for (const line of lines) references.push(encodeId('account', line.account_id));
  }
  return references;
}

function needsClock({ order }: Command): boolean {
  return order.kind === 'post' && hasExpiry(order.request);
}

function targetIds(commands: Command[]): string[] {
  const ids = new Set<string>();
  for (const { order } of commands) if ('target_id' in order) ids.add(order.target_id);
  return [...ids];
}

function prepareStep(
  command: Command,
  resolve: Resolve,
  targets: Map<string, StoredTransaction>,
  now: string | null,
  is_group: boolean,
): Step {
  const { order, origin } = command;
  const step = { command, draft: null, answer: null, problem: null, rejection: null };
  if (order.kind === 'answer') {
    const problem = is_group && order.status >= 400 ? readProblem(order.body) : null;
    return { ...step, answer: { status: order.status, body: order.body }, problem };
  }
  try {
    const draft = draftOrder(order, resolve, targets, encodeId('key', origin.actor_id), now);
    return { ...step, draft, answer: draft.answer === null ? null : { status: 200, body: draft.answer } };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const problem = atAskedField(order, error);
    if (!isSticky(problem)) return { ...step, problem, rejection: problem };
    return { ...step, answer: { status: problem.status, body: problemBody(command, problem) }, problem };
  }
}

function draftOrder(
  order: Exclude<Order, { kind: 'answer' }>,
  resolve: Resolve,
  targets: Map<string, StoredTransaction>,
  actor: string,
  now: string | null,
): Draft {
  const ids = { transaction_id: newUuid(), actor };
  if (order.kind === 'post') return draftPosting(resolve, order.request, ids, now);
  const target = targets.get(order.target_id);
  if (target === undefined) throw missingTarget(order);
  if (order.kind === 'capture') return draftCapture(resolve, target, order.request, ids, target.observed_at);
  if (order.kind === 'reversal') return draftReversal(resolve, target, order.request, ids);
  if (order.kind === 'void') return draftVoid(resolve, target, target.observed_at);
  const draft = draftExpiry(resolve, target, target.observed_at);
  if (draft === null) throw new Problem('transaction_not_pending', 'The hold has ended already');
  return draft;
}

function missingTarget(order: Order): Problem {
  if (!('pointer' in order)) throw new Error('an order without target misses none');
  const detail = 'There is no such transaction';
  return new Problem('not_found', detail, {
    errors: [{ pointer: order.pointer, code: 'not_found', detail }],
  });
}

/** Makes of the target what the rest of the group will find. */
function advanceTarget(targets: Map<string, StoredTransaction>, draft: Draft): void {
  const found = draft.target === null ? undefined : targets.get(draft.target.id);
  if (found === undefined || draft.target === null) return;
  const { kind, number, final } = draft.target;
  const by_transaction_id = kind === 'capture' || kind === 'reversal' ? draft.subject_id : null;
  found.links.push({ kind, number, final, by_transaction_id });
  found.lines = addToLines(found.lines, draft.entries);
}

/** One line for each account, layer and side, as the database sums them: a target may be followed up ten thousand times. */
function addToLines(lines: StoredLine[], entries: DraftEntry[]): StoredLine[] {
  const keyOf = (line: Omit<StoredLine, 'own' | 'amount'>) =>
    `${line.account_id} ${line.layer} ${line.direction}`;
  const later = new Map(lines.flatMap((line) => (line.own ? [] : [[keyOf(line), line]])));
  for (const { account, layer, direction, amount } of entries) {
    const side = { account_id: account.id, layer, direction };
    const before = later.get(keyOf(side))?.amount ?? 0n;
    later.set(keyOf(side), { ...side, own: false, amount: before + amount });
  }
  return [...lines.filter((line) => line.own), ...later.values()];
}

export function batchCommand(step: Step): BatchCommand {
  const { key_hash, request_hash, actor_id, request_id } = step.command.origin;
  const event_id = newUuid();
  return { key_hash, request_hash, actor_id, request_id, event_id, draft: step.draft, answer: step.answer };
}

export function isSticky(problem: Problem): boolean {
  return (problem.status === 409 || problem.status === 422) && problem.code !== 'idempotency_key_reused';
}

function problemBody(command: Command, problem: Problem): string {
  return JSON.stringify(problemDocument(problem, command.origin.instance, command.origin.request_id));
}

export function asAnswer(command: Command, problem: Problem): Command {
  return {
    ...command,
    order: { kind: 'answer', status: problem.status, body: problemBody(command, problem) },
  };
}

/** What commands have become, in order, and as of which account changes that holds. */
export interface Prepared {
  steps: Step[];
  accounts_position: number;
}

/** Accounts, targets and money rules of each command. */
export async function prepareSteps(
  { database, accounts }: { database: Database; accounts: AccountCache },
  tenant_id: string,
  commands: Command[],
  is_group: boolean,
): Promise<Prepared> {
  const now = commands.some(needsClock) ? await readClock(database) : null;
  const targets = await loadTransactions(database, tenant_id, targetIds(commands));
  await accounts.load(tenant_id, accountReferences(commands, targets));
  const resolve: Resolve = (reference) => accounts.resolve(tenant_id, reference);
  const steps: Step[] = [];
  for (const command of commands) {
    const step = prepareStep(command, resolve, targets, now, is_group);
    // Within a group a later command sees what an earlier one does to their common target.
    if (is_group && step.draft !== null) advanceTarget(targets, step.draft);
    steps.push(step);
  }
  return { steps, accounts_position: accounts.position(tenant_id) };
}
