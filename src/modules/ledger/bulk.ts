// Bulk requests: up to 10,000 items in order, all or nothing, or each on its own. Every item has a key of its own, so a repeated bulk
// request answers from its items' answers; under the request's key only a mark is stored.
import { z } from 'zod';
import { type FieldError, Problem, problemDocument, readProblem } from '../../errors.ts';
import { hash16 } from '../../hash.ts';
import { decodeId } from '../../id.ts';
import type { Idempotency, Principal, Reply } from '../../route.ts';
import type { Command, Order, Outcome } from './command.ts';
import type { Poster } from './poster.ts';
import { asAnswer, isSticky } from './steps.ts';
import { type BulkItem, bulkItemSchema, max_bulk_items } from './transaction_schema.ts';
import type { StoredAnswer, TransactionReader } from './transactions.ts';

/** An item as asked for: a command, or what is wrong with it. */
type Item = { command: Command; has_own_key: boolean } | { problem: Problem; key_hash: string };

const MarkSchema = z.object({ request_id: z.string() });

export interface BulkRequest {
  principal: Principal;
  atomic: boolean;
  items: unknown[];
  instance: string;
  idempotency: Idempotency;
  dry_run: boolean;
}

export async function postBulk(
  poster: Poster,
  transactions: TransactionReader,
  bulk: BulkRequest,
): Promise<Reply> {
  if (bulk.items.length > max_bulk_items) {
    throw new Problem('bulk_too_large', `${bulk.items.length} items; at most ${max_bulk_items}`);
  }
  const { tenant_id } = bulk.principal;
  const { key_hash, request_hash } = bulk.idempotency;
  const stored = (await transactions.answers(tenant_id, [key_hash])).get(key_hash);
  if (stored !== undefined) {
    if (stored.request_hash !== request_hash) {
      throw new Problem('idempotency_key_reused', 'This key was used for another request');
    }
    return replayBulk(transactions, bulk, stored);
  }
  const items = readItems(bulk, bulk.principal.request_id);
  checkDistinctKeys(items, key_hash);
  // What is decided as a group looks at its keys first: an item that was answered before neither needs its target nor changes it again.
  const known = bulk.atomic || bulk.dry_run ? await withKnownAnswers(transactions, tenant_id, items) : items;
  return bulk.atomic ? postAtomic(poster, bulk, known) : postEach(poster, bulk, known);
}

async function postAtomic(poster: Poster, bulk: BulkRequest, items: Item[]): Promise<Reply> {
  const broken = items.findIndex((item) => 'problem' in item);
  const culprit = items[broken];
  if (culprit !== undefined && 'problem' in culprit) throw atIndex(culprit.problem, broken);
  const commands = items.flatMap((item) => ('command' in item ? [item.command] : []));
  const mark: Command = {
    origin: origin(bulk),
    order: { kind: 'answer', status: 201, body: markText(bulk) },
  };
  const tenant_id = bulk.principal.tenant_id;
  const outcomes = bulk.dry_run
    ? await poster.evaluate(tenant_id, commands)
    : (await poster.submitAtomic(tenant_id, [...commands, mark])).slice(0, commands.length);
  const refused = outcomes.findIndex(isRefused);
  const outcome = outcomes[refused];
  if (outcome === undefined)
    return { status: bulk.dry_run ? 200 : 201, body: resultsText(outcomes.map(outcomeResult)) };

  const problem = atIndex(problemOf(outcome), refused);
  // A missing target may be there next time.
  if (bulk.dry_run || problem.status === 404) throw problem;
  const body = JSON.stringify(problemDocument(problem, bulk.instance, bulk.principal.request_id));
  const kept = await poster.submit(
    tenant_id,
    { origin: origin(bulk), order: { kind: 'answer', status: problem.status, body } },
    'bulk',
  );
  return reply(kept);
}

async function postEach(poster: Poster, bulk: BulkRequest, items: Item[]): Promise<Reply> {
  const tenant_id = bulk.principal.tenant_id;
  const commands = items.flatMap((item) => ('command' in item ? [item.command] : []));
  const outcomes = bulk.dry_run
    ? await evaluateEach(poster, tenant_id, commands)
    : await Promise.all(commands.map((command) => submitItem(poster, tenant_id, command)));
  let next = 0;
  const results = items.map((item) => {
    const outcome = 'command' in item ? outcomes[next++] : undefined;
    return outcome === undefined ? problemResult(bulk, item) : resultOf(bulk, outcome);
  });
  if (!bulk.dry_run) {
    const mark: Command = {
      origin: origin(bulk),
      order: { kind: 'answer', status: 200, body: markText(bulk) },
    };
    await poster.submit(tenant_id, mark, 'bulk');
  }
  return { status: 200, body: resultsText(results) };
}

/**
 * What would become of items of which each succeeds or fails on its own. A follow-up is drafted on its target as the items before leave it if
 * they succeed; where the ledger refuses one of them, all are judged again with that refusal in its place.
 */
async function evaluateEach(poster: Poster, tenant_id: string, commands: Command[]): Promise<Outcome[]> {
  let judged_again = 0;
  for (let judged = commands; ; ) {
    const outcomes = await poster.evaluate(tenant_id, judged);
    const at = misleadingRefusal(judged, outcomes);
    const [command, outcome] = [judged[at], outcomes[at]];
    if (command === undefined || outcome?.state !== 'rejected') return outcomes;
    judged_again += commands.length;
    if (judged_again > max_bulk_items) {
      const detail =
        'Too many items of this dry run follow up what items before them are refused; ask about fewer at once';
      throw new Problem('bulk_too_large', detail);
    }
    judged = judged.with(at, asAnswer(command, outcome.problem));
  }
}

/** The first item whose target was left otherwise than later items of the same target assume; -1 without one. */
function misleadingRefusal(commands: Command[], outcomes: Outcome[]): number {
  const last_of = new Map(
    commands.flatMap(({ order }, index) => ('target_id' in order ? [[order.target_id, index] as const] : [])),
  );
  return commands.findIndex(({ order }, index) => {
    const outcome = outcomes[index];
    if (outcome?.state !== 'rejected' || !isSticky(outcome.problem) || !('target_id' in order)) return false;
    return (last_of.get(order.target_id) ?? index) > index;
  });
}

/** A missing target is part of the bulk request's answer, so it is stored too: the item is answered the same way for ever. */
async function submitItem(poster: Poster, tenant_id: string, command: Command): Promise<Outcome> {
  const outcome = await poster.submit(tenant_id, command, 'bulk');
  if (outcome.state !== 'rejected' || outcome.problem.code !== 'not_found') return outcome;
  const { instance, request_id } = command.origin;
  const body = JSON.stringify(problemDocument(outcome.problem, instance, request_id));
  return poster.submit(tenant_id, { ...command, order: { kind: 'answer', status: 404, body } }, 'bulk');
}

/** The same request again: the same answers of the same items. */
async function replayBulk(
  transactions: TransactionReader,
  bulk: BulkRequest,
  stored: StoredAnswer,
): Promise<Reply> {
  const headers = { 'Idempotent-Replayed': 'true' };
  if (stored.status >= 400) return { status: stored.status, body: stored.body, headers };
  const { request_id } = MarkSchema.parse(JSON.parse(stored.body));
  const first = { ...bulk, principal: { ...bulk.principal, request_id } };
  const items = readItems(first, request_id);
  const answers = await transactions.answers(bulk.principal.tenant_id, items.map(itemKeyHash));
  const results = items.map((item) => {
    const answer = answers.get(itemKeyHash(item));
    if ('problem' in item || answer === undefined) return problemResult(first, item);
    if (answer.request_hash !== item.command.origin.request_hash) {
      return problemResult(first, { problem: keyReused(), key_hash: itemKeyHash(item) });
    }
    return answerResult(answer.status, answer.body);
  });
  return { status: stored.status, body: resultsText(results), headers };
}

function readItems(bulk: BulkRequest, request_id: string): Item[] {
  return bulk.items.map((item, index) => {
    const parsed = bulkItemSchema(item).safeParse(item);
    const derived_hash = hash16(`item ${index} of ${bulk.idempotency.key}`);
    if (!parsed.success) {
      const errors = parsed.error.issues.flatMap(fieldErrors);
      return {
        problem: new Problem('invalid_request', 'The item does not have the documented shape', { errors }),
        key_hash: derived_hash,
      };
    }
    const own_key = parsed.data.idempotency_key;
    const key_hash = own_key === undefined ? derived_hash : hash16(own_key);
    try {
      const command: Command = {
        origin: {
          actor_id: bulk.principal.actor_id,
          request_id,
          instance: bulk.instance,
          key_hash,
          // An item is the same item in whatever request it comes.
          request_hash: hash16(`item ${JSON.stringify(item)}`),
        },
        order: orderOf(parsed.data),
      };
      if (command.order.kind === 'reversal' && command.order.request.force === true)
        checkForce(bulk.principal);
      return { command, has_own_key: own_key !== undefined };
    } catch (error) {
      if (error instanceof Problem) return { problem: error, key_hash };
      throw error;
    }
  });
}

/** Pointers start at the item: its answer is the same in whatever request it comes again. */
function fieldErrors(issue: z.core.$ZodIssue): FieldError[] {
  const pointer = ['#', ...issue.path.map(String)].join('/');
  if (issue.code !== 'unrecognized_keys') return [{ pointer, code: issue.code, detail: issue.message }];
  return issue.keys.map((name) => ({
    pointer: `${pointer}/${name}`,
    code: 'unknown_field',
    detail: 'there is no such field',
  }));
}

export function checkForce(principal: Principal): void {
  if (!principal.can({ action: 'force', subject: 'transaction' })) {
    throw new Problem('forbidden', 'A forced reversal passes limits, which this API key may not do');
  }
}

function orderOf(item: BulkItem): Order {
  if ('capture_of' in item) {
    const { capture_of, idempotency_key: _, ...request } = item;
    const target_id = decodeId('transaction', capture_of, '#/capture_of');
    return { kind: 'capture', target_id, request, pointer: '#/capture_of' };
  }
  if ('void_of' in item) {
    const target_id = decodeId('transaction', item.void_of, '#/void_of');
    return { kind: 'void', target_id, pointer: '#/void_of' };
  }
  if ('reversal_of' in item) {
    const { reversal_of, idempotency_key: _, ...request } = item;
    const target_id = decodeId('transaction', reversal_of, '#/reversal_of');
    return { kind: 'reversal', target_id, request, pointer: '#/reversal_of' };
  }
  const { idempotency_key: _, ...request } = item;
  return { kind: 'post', request };
}

/** Items whose own keys have an answer, as that answer. */
async function withKnownAnswers(
  transactions: TransactionReader,
  tenant_id: string,
  items: Item[],
): Promise<Item[]> {
  const key_hashes = items.flatMap((item) =>
    'command' in item && item.has_own_key ? [itemKeyHash(item)] : [],
  );
  if (key_hashes.length === 0) return items;
  const answers = await transactions.answers(tenant_id, key_hashes);
  return items.map((item) => {
    const answer = 'command' in item ? answers.get(itemKeyHash(item)) : undefined;
    if (answer === undefined || !('command' in item)) return item;
    const { origin } = item.command;
    const { status, body } =
      answer.request_hash === origin.request_hash
        ? answer
        : {
            status: 422,
            body: JSON.stringify(problemDocument(keyReused(), origin.instance, origin.request_id)),
          };
    return { ...item, command: { origin, order: { kind: 'answer', status, body } } };
  });
}

/** A key that two items share, or an item and the request, says nothing about either. */
function checkDistinctKeys(items: Item[], request_key_hash: string): void {
  const seen = new Map([[request_key_hash, 'the request']]);
  items.forEach((item, index) => {
    const earlier = seen.get(itemKeyHash(item));
    if (earlier !== undefined) {
      const detail = `${earlier} and item ${index} have the same idempotency_key`;
      const pointer = `#/transactions/${index}/idempotency_key`;
      throw new Problem('invalid_request', detail, { errors: [{ pointer, code: 'not_unique', detail }] });
    }
    seen.set(itemKeyHash(item), `item ${index}`);
  });
}

function itemKeyHash(item: Item): string {
  return 'command' in item ? item.command.origin.key_hash : item.key_hash;
}

function origin(bulk: BulkRequest) {
  const { actor_id, request_id } = bulk.principal;
  const { key_hash, request_hash } = bulk.idempotency;
  return { actor_id, request_id, instance: bulk.instance, key_hash, request_hash };
}

function markText(bulk: BulkRequest): string {
  return JSON.stringify({ request_id: bulk.principal.request_id });
}

function keyReused(): Problem {
  return new Problem('idempotency_key_reused', 'This key was used for another request');
}

function isRefused(outcome: Outcome): boolean {
  return outcome.state === 'rejected' || outcome.status >= 400;
}

function problemOf(outcome: Outcome): Problem {
  if (outcome.state === 'rejected') return outcome.problem;
  return readProblem(outcome.body);
}

/** A culprit's problem with its `index`, its pointers led from the bulk request's root. */
function atIndex(problem: Problem, index: number): Problem {
  const root = `#/transactions/${index}`;
  const errors = problem.options.errors?.map((error) => ({
    ...error,
    pointer: error.pointer.replace(/^#/, root),
  }));
  return new Problem(problem.code, problem.message, {
    ...problem.options,
    extras: { ...problem.options.extras, index },
    ...(errors === undefined ? {} : { errors }),
  });
}

function resultOf(bulk: BulkRequest, outcome: Outcome): string {
  if (outcome.state === 'answered') return answerResult(outcome.status, outcome.body);
  return problemText(bulk, outcome.problem);
}

const outcomeResult = (outcome: Outcome) =>
  outcome.state === 'answered' ? answerResult(outcome.status, outcome.body) : '';

function answerResult(status: number, body: string): string {
  return `{"status":${status},"${status >= 400 ? 'problem' : 'transaction'}":${body}}`;
}

function problemResult(bulk: BulkRequest, item: Item): string {
  if (!('problem' in item)) throw new Error('an item of a stored bulk request has no answer');
  return problemText(bulk, item.problem);
}

function problemText(bulk: BulkRequest, problem: Problem): string {
  const document = problemDocument(problem, bulk.instance, bulk.principal.request_id);
  return `{"status":${problem.status},"problem":${JSON.stringify(document)}}`;
}

function resultsText(results: string[]): string {
  return `{"results":[${results.join(',')}]}`;
}

function reply(outcome: Outcome): Reply {
  if (outcome.state === 'rejected') throw outcome.problem;
  const headers = outcome.replayed ? { 'Idempotent-Replayed': 'true' } : undefined;
  return { status: outcome.status, body: outcome.body, ...(headers === undefined ? {} : { headers }) };
}
