// The answers of the API as far as the tests read them; written down here, so that the product's schemas are not their own judge.
import { z } from 'zod';
import type { Receipt } from './facts.ts';
import { parseInstant } from './instant.ts';

export const ProblemAnswer = z.looseObject({
  code: z.string(),
  status: z.number(),
  errors: z.array(z.looseObject({ pointer: z.string(), code: z.string() })).optional(),
});

export const Subject = z.record(z.string(), z.unknown());

const EventAnswer = z.looseObject({
  id: z.string(),
  position: z.number(),
  type: z.string(),
  subject: z.string(),
  recorded_at: z.string(),
  data: z.record(z.string(), z.unknown()),
});
export type EventShape = z.infer<typeof EventAnswer>;

/** What the log says of an event, as far as the model takes it in. */
export function receiptOf(event: EventShape): Receipt {
  const { expires_at } = event.data;
  const recorded_at = parseInstant(event.recorded_at);
  const expiry = typeof expires_at === 'string' ? { expires_at: parseInstant(expires_at) } : {};
  return { id: event.subject, position: event.position, recorded_at, ...expiry };
}

export const EventPage = z.looseObject({ data: z.array(EventAnswer), has_more: z.boolean() });

export const BulkAnswer = z.strictObject({
  results: z.array(
    z.strictObject({ status: z.number(), transaction: Subject.optional(), problem: Subject.optional() }),
  ),
});

export const BalanceAnswer = z.looseObject({
  posted: z.strictObject({ debits: z.string(), credits: z.string(), balance: z.string() }),
  pending: z.strictObject({ out: z.string(), in: z.string() }),
  available: z.string(),
  position: z.number(),
});
