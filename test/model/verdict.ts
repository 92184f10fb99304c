// Whether an answer, and what it wrote, is one that the model allows: at some instant between sending and answering if nothing was
// written, else at the instant at which it was recorded.
import { isDeepStrictEqual } from 'node:util';
import type { Answer } from '../support/client.ts';
import { BulkAnswer, type EventShape, ProblemAnswer } from './answers.ts';
import {
  type Command,
  type ItemOutcome,
  isProvisional,
  type Outcome,
  pointersOf,
  type ReferenceApi,
} from './api.ts';
import type { Refusal } from './facts.ts';
import { instantText, parseInstant } from './instant.ts';
import { instantsBetween } from './ledger.ts';

/** A command as it went: with its answer, the events that it wrote, and the clock around it. */
export interface Exchange {
  command: Command;
  dry_run: boolean;
  answer: Answer;
  events: EventShape[];
  from: bigint;
  until: bigint;
  /** item key → the result that it had before */
  item_results: ReadonlyMap<string, unknown>;
}

export type Verdict = { outcome: Outcome } | { objection: string };

export function verdictOn(api: ReferenceApi, exchange: Exchange): Verdict {
  const possible = possibleOutcomes(api, exchange);
  const objections = possible.map((outcome) => objectionTo(outcome, exchange));
  const allowed = possible.find((_, i) => objections[i] === null);
  if (allowed !== undefined) return { outcome: allowed };
  const expected = possible.map(describe).join(' or ');
  return { objection: `the model expects ${expected}\n${objections.join('\n')}` };
}

function possibleOutcomes(api: ReferenceApi, exchange: Exchange): Outcome[] {
  const { command, dry_run, events, from, until } = exchange;
  const last = events.at(-1);
  const spans = instantsBetween(api.ledger, from, until);
  if (last === undefined || dry_run) {
    return withMixtures(
      spans.map((instant) => api.decide(command, instant)),
      exchange,
    );
  }
  const recorded_at = parseInstant(last.recorded_at);
  const recorded = [recorded_at, from].map((arrived) => api.decide(command, recorded_at, arrived));
  if (recorded.some((outcome) => outcome.kind !== 'bulk' || outcome.status !== 200)) return recorded;
  const instants = [...new Set([...events.map((event) => parseInstant(event.recorded_at)), ...spans])];
  const item_outcomes = instants.flatMap((instant) =>
    [from, until].map((judged) => api.decide(command, instant, judged)),
  );
  return withMixtures([...recorded, ...item_outcomes], exchange);
}

/**
 * Items of a bulk request that is not atomic are posted each on its own, and so each at an instant of its own; so is it judged whether the
 * expiry of one lies in the past, when its turn has come.
 */
function withMixtures(outcomes: Outcome[], exchange: Exchange): Outcome[] {
  const bulks = outcomes.flatMap((outcome) =>
    outcome.kind === 'bulk' && outcome.status === 200 ? [outcome] : [],
  );
  const answered = BulkAnswer.safeParse(exchange.answer.body);
  if (bulks.length < 2 || !answered.success) return outcomes;
  const items = answered.data.results.flatMap((result, i) => {
    const candidates = bulks.flatMap((bulk) => bulk.items[i] ?? []);
    return candidates.find((item) => objectionToItem(item, result, exchange) === null) ?? candidates[0] ?? [];
  });
  return [...outcomes, { kind: 'bulk', status: 200, items }];
}

/** Why an answer is not this outcome's; null when it is. */
function objectionTo(outcome: Outcome, { answer, events, dry_run, ...exchange }: Exchange): string | null {
  if (outcome.kind === 'refused') {
    if (events.length > 0) return 'a refusal wrote events';
    return objectionToRefusal(outcome.refusal, answer.status, answer.body);
  }
  if (answer.status !== (dry_run ? 200 : outcome.status)) return `status ${answer.status}`;
  if (outcome.kind === 'accepted') {
    const expected = dry_run || outcome.effect.kind === 'nothing' ? 0 : 1;
    return events.length === expected ? null : `${events.length} events instead of ${expected}`;
  }
  const { results } = BulkAnswer.parse(answer.body);
  if (results.length !== outcome.items.length) return `${results.length} results`;
  const accepted = outcome.items.filter((item) => item.kind === 'accepted').length;
  if (events.length !== (dry_run ? 0 : accepted)) return `${events.length} events for ${accepted} items`;
  const objections = outcome.items.map((item, i) => objectionToItem(item, results[i], exchange));
  const first = objections.findIndex((objection) => objection !== null);
  return first < 0 ? null : `item ${first}: ${objections[first]}`;
}

function objectionToItem(
  item: ItemOutcome,
  result: unknown,
  { item_results }: Pick<Exchange, 'item_results'>,
): string | null {
  const { status, transaction, problem } = BulkAnswer.shape.results.element.parse(result);
  if (item.kind === 'refused') return objectionToRefusal(item.refusal, status, problem);
  if (item.kind === 'replayed') {
    const before = item_results.get(item.key);
    if (before === undefined || isDeepStrictEqual(before, result)) return null;
    return `not as before: ${JSON.stringify(before)}`;
  }
  return transaction === undefined ? `refused: ${JSON.stringify(problem)}` : null;
}

export function objectionToRefusal(refused: Refusal, status: number, body: unknown): string | null {
  const parsed = ProblemAnswer.safeParse(body);
  if (!parsed.success) return `not a problem, but the model says ${refused.code}`;
  const problem = parsed.data;
  if (status !== refused.status || problem.code !== refused.code) {
    return `${status} ${problem.code}, not ${refused.code}`;
  }
  const pointers = problem.errors?.map((error) => error.pointer) ?? [];
  if (refused.pointer !== null && !pointers.includes(refused.pointer)) {
    return `${problem.code} points at ${pointers.join(', ') || 'nothing'}, not at ${refused.pointer}`;
  }
  const faults = pointersOf(refused);
  if (faults.length > 0 && !pointers.some((pointer) => faults.includes(pointer))) {
    return `${problem.code} points at ${pointers.join(', ')}, not at one of ${faults.join(', ')}`;
  }
  const wrong = Object.entries(refused.extras).filter(
    ([name, value]) =>
      name !== 'pointers' && !isProvisional(value) && !isDeepStrictEqual(problem[name], value),
  );
  return wrong.length === 0
    ? null
    : `${problem.code} does not say ${JSON.stringify(Object.fromEntries(wrong))}`;
}

function describe(outcome: Outcome): string {
  return outcome.kind === 'refused' ? shown(outcome.refusal) : `${outcome.kind} ${outcome.status}`;
}

/** As JSON, with instants of the model as text. */
export function shown(value: unknown): string {
  return JSON.stringify(value, (_, inner) => (typeof inner === 'bigint' ? instantText(inner) : inner));
}
