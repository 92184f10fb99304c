// A command is a request to change the ledger, with its key; its outcome is what the client is answered.
import { Problem } from '../../errors.ts';
import type { CaptureRequest, ReversalRequest, TransactionRequest } from './transaction_schema.ts';

/** Who asks, and under which key. */
export interface CommandOrigin {
  /** uuid */
  actor_id: string;
  request_id: string;
  /** the request's path, the `instance` of its problems */
  instance: string;
  key_hash: string;
  request_hash: string;
  /** where the client gave the key */
  key_pointer: string;
  /** of the item, in a bulk request */
  index?: number;
}

export type Order =
  | { kind: 'post'; request: TransactionRequest }
  | { kind: 'capture'; target_id: string; request: CaptureRequest; pointer: string }
  | { kind: 'void'; target_id: string; pointer: string }
  | { kind: 'reversal'; target_id: string; request: ReversalRequest; pointer: string }
  | { kind: 'expiry'; target_id: string; pointer: string }
  /** nothing to write but the answer itself: a refusal found earlier, or the mark of a bulk request */
  | { kind: 'answer'; status: number; body: string };

export interface Command {
  origin: CommandOrigin;
  order: Order;
}

export type Outcome =
  /** stored for ever under the key; `replayed` when an earlier request had stored it */
  | { state: 'answered'; status: number; body: string; replayed: boolean }
  /** not stored: the same key may be used again */
  | { state: 'rejected'; problem: Problem };

/** A follow-up without entries takes them from its target: what is wrong with one is said of the field that asked for it, or of the whole. */
export function atAskedField(order: Order, problem: Problem): Problem {
  if (order.kind !== 'capture' && order.kind !== 'reversal') return problem;
  if (order.request.entries !== undefined) return problem;
  const whole = order.pointer.startsWith('#/path/') ? '#' : order.pointer;
  const field = order.request.amount === undefined ? whole : '#/amount';
  const errors = problem.options.errors?.map((error) => ({
    ...error,
    pointer: error.pointer.replace(/^#\/entries(\/.*)?$/, field),
  }));
  return new Problem(problem.code, problem.message, {
    ...problem.options,
    ...(errors === undefined ? {} : { errors }),
  });
}
