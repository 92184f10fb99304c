// A command is a request to change the ledger, with its key; its outcome is what the client is answered.
import type { Problem } from '../../errors.ts';
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
