// Bulk requests: up to 10,000 items in order, all or nothing, or each on its own. Every item has a key of its own, so a repeated bulk
// request answers from its items' answers; under the request's key only a mark is stored. That of items on their own comes first: whatever
// ends the request half-way, the same request goes on with those that are missing, and no other takes its key.
import { z } from 'zod';
import { key_header_pointer, keyReused, Problem, problemDocument, readProblem } from '../../errors.ts';
import type { Reply } from '../../route.ts';
import {
  type BulkRequest,
  checkDistinctKeys,
  checkForce,
  forbiddenItems,
  type Item,
  isForced,
  itemKeyHash,
  readItems,
  withForbidden,
} from './bulk_items.ts';
import type { Command, Outcome } from './command.ts';
import type { Poster } from './poster.ts';
import { asAnswer, isSticky } from './steps.ts';
import { max_bulk_items } from './transaction_schema.ts';
import type { StoredAnswer, TransactionReader } from './transactions.ts';

/** What is kept of a bulk request beside the answers of its items. */
const MarkSchema = z.object({
  request_id: z.string(),
  /** absent in marks of before there was one */
  media_type: z.enum(['json', 'ndjson']).optional(),
  /** indices of items that whoever asked may not do */
  forbidden: z.array(z.int()).default([]),
});
type Mark = z.input<typeof MarkSchema>;

export async function postBulk(
  poster: Poster,
  transactions: TransactionReader,
  bulk: BulkRequest,
): Promise<Reply> {
  if (bulk.items.length > max_bulk_items) {
    throw tooLarge(`${bulk.items.length} items; at most ${max_bulk_items}`);
  }
  const { tenant_id } = bulk.principal;
  const { key_hash, request_hash } = bulk.idempotency;
  const stored = (await transactions.answers(tenant_id, [key_hash])).get(key_hash);
  if (stored !== undefined) {
    if (stored.request_hash !== request_hash) throw keyReused();
    return replayBulk(poster, transactions, bulk, stored);
  }
  const read = await readItems(bulk, bulk.principal.request_id);
  checkDistinctKeys(read, key_hash);
  const forbidden = forbiddenItems(bulk.principal, read);
  const items = withForbidden(read, forbidden);
  // What is decided as a group looks at its keys first: an item that was answered before neither needs its target nor changes it again.
  const known = bulk.atomic || bulk.dry_run ? await withKnownAnswers(transactions, tenant_id, items) : items;
  if (bulk.atomic) return postAtomic(poster, bulk, known);
  if (bulk.dry_run) return tryEach(poster, bulk, known);
  const mark = markCommand(bulk, 200, forbidden);
  const marked = await poster.submit(tenant_id, mark, 'bulk');
  // Another process was first.
  if (marked.state === 'answered' && marked.replayed) return replayBulk(poster, transactions, bulk, marked);
  if (marked.state === 'rejected') throw marked.problem;
  return { status: 200, body: resultsText(await postEach(poster, bulk, items, new Map())) };
}

async function postAtomic(poster: Poster, bulk: BulkRequest, items: Item[]): Promise<Reply> {
  const broken = items.findIndex((item) => 'problem' in item);
  const culprit = items[broken];
  if (culprit !== undefined && 'problem' in culprit) throw atIndex(culprit.problem, broken);
  const commands = items.flatMap((item) => ('command' in item ? [item.command] : []));
  const tenant_id = bulk.principal.tenant_id;
  const outcomes = bulk.dry_run
    ? await poster.evaluate(tenant_id, commands)
    : (await poster.submitAtomic(tenant_id, [...commands, markCommand(bulk, 201, [])])).slice(
        0,
        commands.length,
      );
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

/** The results of items on their own, in order; those that have an answer are not posted again. */
async function postEach(
  poster: Poster,
  bulk: BulkRequest,
  items: Item[],
  answers: Map<string, StoredAnswer>,
): Promise<string[]> {
  return Promise.all(
    items.map(async (item) => {
      if ('problem' in item) return problemText(bulk, item.problem);
      const { origin } = item.command;
      const answer = answers.get(origin.key_hash);
      if (answer === undefined)
        return resultOf(bulk, await submitItem(poster, bulk.principal.tenant_id, item.command));
      return answer.request_hash === origin.request_hash
        ? answerResult(answer.status, answer.body)
        : problemText(bulk, keyReused(origin.key_pointer));
    }),
  );
}

async function tryEach(poster: Poster, bulk: BulkRequest, items: Item[]): Promise<Reply> {
  const commands = items.flatMap((item) => ('command' in item ? [item.command] : []));
  const outcomes = await evaluateEach(poster, bulk.principal.tenant_id, commands);
  let next = 0;
  const results = items.map((item) => {
    if ('problem' in item) return problemText(bulk, item.problem);
    const outcome = outcomes[next++];
    if (outcome === undefined) throw new Error('an item without an outcome');
    return resultOf(bulk, outcome);
  });
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
      throw tooLarge(
        'Too many items of this dry run follow up what items before them are refused; ask about fewer at once',
      );
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

/** The same request again: the same answers of the same items, of which those that were not reached are posted now. */
async function replayBulk(
  poster: Poster,
  transactions: TransactionReader,
  bulk: BulkRequest,
  stored: Pick<StoredAnswer, 'status' | 'body'>,
): Promise<Reply> {
  const headers = { 'Idempotent-Replayed': 'true' };
  if (stored.status >= 400) return { status: stored.status, body: stored.body, headers };
  const { request_id, media_type, forbidden } = MarkSchema.parse(JSON.parse(stored.body));
  // The same bytes as another media type are other items.
  if (media_type !== undefined && media_type !== bulk.media_type) throw keyReused();
  const first = { ...bulk, principal: { ...bulk.principal, request_id } };
  const items = withForbidden(await readItems(first, request_id), forbidden);
  const answers = await transactions.answers(bulk.principal.tenant_id, items.map(itemKeyHash));
  const missing = items.filter((item) => 'command' in item && !answers.has(itemKeyHash(item)));
  if (missing.length > 0 && bulk.atomic) throw new Error('an item of a posted group has no answer');
  if (missing.some(isForced)) checkForce(bulk.principal);
  const body = resultsText(await postEach(poster, first, items, answers));
  return { status: stored.status, body, ...(missing.length === 0 ? { headers } : {}) };
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
            body: JSON.stringify(
              problemDocument(keyReused(origin.key_pointer), origin.instance, origin.request_id),
            ),
          };
    return { ...item, command: { origin, order: { kind: 'answer', status, body } } };
  });
}

function origin(bulk: BulkRequest) {
  const { actor_id, request_id } = bulk.principal;
  const { key_hash, request_hash } = bulk.idempotency;
  return {
    actor_id,
    request_id,
    instance: bulk.instance,
    key_hash,
    request_hash,
    key_pointer: key_header_pointer,
  };
}

function markCommand(bulk: BulkRequest, status: number, forbidden: number[]): Command {
  const { media_type, principal } = bulk;
  const mark: Mark = {
    request_id: principal.request_id,
    ...(media_type === null ? {} : { media_type }),
    ...(forbidden.length === 0 ? {} : { forbidden }),
  };
  return { origin: origin(bulk), order: { kind: 'answer', status, body: JSON.stringify(mark) } };
}

function tooLarge(detail: string): Problem {
  return new Problem('bulk_too_large', detail, {
    errors: [{ pointer: '#/transactions', code: 'bulk_too_large', detail }],
  });
}

function isRefused(outcome: Outcome): boolean {
  return outcome.state === 'rejected' || outcome.status >= 400;
}

function problemOf(outcome: Outcome): Problem {
  if (outcome.state === 'rejected') return outcome.problem;
  return readProblem(outcome.body);
}

/** A culprit's problem with its `index`, its pointers led from the bulk request's root; a header is the request's already. */
function atIndex(problem: Problem, index: number): Problem {
  const root = `#/transactions/${index}`;
  const errors = problem.options.errors?.map((error) => ({
    ...error,
    pointer: error.pointer.replace(/^#(?!\/header\/)/, root),
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
