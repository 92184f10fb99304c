// Judges what many clients did at once: the log is put in order before the model, and each event must be one that the model would have
// written there, on behalf of exactly one answered command; each refusal must have been right at some position while it was under way.
import { z } from 'zod';
import { BulkAnswer, type EventShape, ProblemAnswer, receiptOf } from './answers.ts';
import type { Command, ReferenceApi } from './api.ts';
import { instantText, parseInstant } from './instant.ts';
import { instantsBetween } from './ledger.ts';

/** A command and its answer, with what bounds the moment at which the ledger decided. */
export interface Attempt {
  command: Command;
  key: string;
  /** a position that was known to be in the log before it was sent */
  known_position: number;
  /** this machine's clock when the answer was there */
  answered_at: bigint;
  status: number;
  body: unknown;
}

export interface Judgement {
  violations: string[];
  accepted: number;
  refused: number;
}

const Identified = z.looseObject({ id: z.string() });

/** `api` is the model as of the position before the first event; it is as of the last one afterwards. */
export function judge(api: ReferenceApi, events: EventShape[], attempts: Attempt[]): Judgement {
  const violations: string[] = [];
  const asked = claimsOf(attempts);
  let refusals = attempts.filter((attempt) => attempt.status >= 400);
  const refused = refusals.length;
  let accepted = 0;
  const [first] = events;
  const start = first === undefined ? 0n : parseInstant(first.recorded_at);
  refusals = refusals.filter(
    (attempt) => attempt.known_position >= (first?.position ?? 0) || !isShared(api, attempt, [start]),
  );
  for (const [i, event] of events.entries()) {
    const recorded_at = parseInstant(event.recorded_at);
    if (!isExpiry(api, event, violations)) {
      const command = take(asked, claimOf(event.type, event.subject));
      if (command === undefined) {
        violations.push(
          `${event.position} ${event.type} ${event.subject}: nobody asked for it, or it is there twice`,
        );
        continue;
      }
      const outcome = api.decide(command, recorded_at);
      if (outcome.kind === 'accepted') {
        api.record(outcome.effect, receiptOf(event));
        accepted += 1;
      } else {
        violations.push(`${event.position} ${event.type}: the model answers ${JSON.stringify(outcome)}`);
      }
    }
    const next = events[i + 1];
    const until = next === undefined ? null : parseInstant(next.recorded_at);
    refusals = unjustified(api, refusals, event.position, recorded_at, until, violations);
  }
  for (const attempt of refusals) {
    violations.push(`never right: ${asText(attempt)}`);
  }
  for (const claim of asked.keys()) violations.push(`acknowledged and not in the log: ${claim}`);
  return { violations, accepted, refused };
}

/** Takes out the refusals that the model shares at this position; complains of those whose time is over. */
function unjustified(
  api: ReferenceApi,
  refusals: Attempt[],
  position: number,
  recorded_at: bigint,
  next_recorded_at: bigint | null,
  violations: string[],
): Attempt[] {
  return refusals.filter((attempt) => {
    if (attempt.known_position > position) return true;
    const { answered_at } = attempt;
    const until =
      next_recorded_at === null || answered_at < next_recorded_at ? answered_at : next_recorded_at;
    if (isShared(api, attempt, instantsBetween(api.ledger, recorded_at, until))) return false;
    if (next_recorded_at === null || next_recorded_at <= answered_at) return true;
    violations.push(`never right up to ${position}, ${instantText(recorded_at)}: ${asText(attempt)}`);
    return false;
  });
}

/** Whether the model refuses it too, at one of these instants. */
function isShared(api: ReferenceApi, { command, body }: Attempt, instants: bigint[]): boolean {
  const { code } = ProblemAnswer.parse(body);
  return instants.some((instant) => {
    const outcome = api.decide(command, instant);
    return outcome.kind === 'refused' && outcome.refusal.code === code;
  });
}

function asText({ command, key, known_position, answered_at, body }: Attempt): string {
  const { code, detail } = ProblemAnswer.parse(body);
  const window = `after ${known_position}, before ${instantText(answered_at)}`;
  return `${key} (${window}) ${JSON.stringify(command)} → ${code}: ${String(detail)}`;
}

function isExpiry(api: ReferenceApi, event: EventShape, violations: string[]): boolean {
  if (event.type !== 'ledger.transaction_expired') return false;
  const hold = api.ledger.transactions.get(event.subject);
  const expired =
    hold !== undefined && api.ledger.holdStatus(hold, parseInstant(event.recorded_at)) === 'expired';
  if (!expired) violations.push(`${event.position}: ${event.subject} is said to expire and does not`);
  return true;
}

/** An event as the command that asked for it would be looked up. */
function claimOf(type: string, subject: string): string {
  return type.endsWith('_voided') || type.startsWith('ledger.account_') ? `${type} ${subject}` : subject;
}

/** claim → the commands that were answered as if they had written such an event */
function claimsOf(attempts: Attempt[]): Map<string, Command[]> {
  const claims = new Map<string, Command[]>();
  const add = (claim: string, command: Command) => {
    claims.set(claim, [...(claims.get(claim) ?? []), command]);
  };
  for (const { command, status, body } of attempts) {
    if (status >= 400) continue;
    if (command.verb !== 'bulk') {
      add(claimOfAnswer(command, Identified.parse(body).id), command);
      continue;
    }
    const { results } = BulkAnswer.parse(body);
    for (const [i, item] of bulkCommands(command.body).entries()) {
      const transaction = results[i]?.transaction;
      if (transaction !== undefined) add(claimOfAnswer(item, Identified.parse(transaction).id), item);
    }
  }
  return claims;
}

const event_types: Partial<Record<Command['verb'], string>> = {
  create_account: 'ledger.account_created',
  update_account: 'ledger.account_updated',
  close_account: 'ledger.account_closed',
  reopen_account: 'ledger.account_reopened',
  void: 'ledger.transaction_voided',
};

function claimOfAnswer(command: Command, id: string): string {
  const type = event_types[command.verb];
  return type === undefined ? id : claimOf(type, id);
}

const BulkBody = z.looseObject({ transactions: z.array(z.record(z.string(), z.unknown())) });

/** The items of a bulk request as single commands. */
function bulkCommands(bulk: unknown): Command[] {
  return BulkBody.parse(bulk).transactions.map((item): Command => {
    const { idempotency_key: _, capture_of, void_of, reversal_of, ...body } = item;
    if (typeof capture_of === 'string') return { verb: 'capture', transaction: capture_of, body };
    if (typeof void_of === 'string') return { verb: 'void', transaction: void_of, body };
    if (typeof reversal_of === 'string') return { verb: 'reverse', transaction: reversal_of, body };
    return { verb: 'post', body };
  });
}

function take(claims: Map<string, Command[]>, claim: string): Command | undefined {
  const [command, ...others] = claims.get(claim) ?? [];
  if (others.length === 0) claims.delete(claim);
  else claims.set(claim, others);
  return command;
}
