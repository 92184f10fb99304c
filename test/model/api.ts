// The model behind an Idempotency-Key: which answer a command gets, and what is written if it is accepted. Deciding changes nothing;
// `record` does, with the receipts of the log.
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import {
  decideAccount,
  decideAccountChange,
  decideClosure,
  decideReopening,
  type NewAccount,
} from './accounts.ts';
import { type Account, type Posting, type Receipt, type Refusal, refusal } from './facts.ts';
import { ReferenceLedger } from './ledger.ts';
import { type Decision, decideCapture, decidePosting, decideReversal, decideVoid } from './postings.ts';
import {
  AccountChangeShape,
  AccountShape,
  type BulkItem,
  BulkShape,
  bulkItemShape,
  CaptureShape,
  PostingShape,
  parseBody,
  ReversalShape,
  VoidShape,
} from './shapes.ts';

export type Command =
  | { verb: 'create_account'; body: unknown }
  | { verb: 'update_account'; account: string; body: unknown }
  | { verb: 'close_account' | 'reopen_account'; account: string }
  | { verb: 'post'; body: unknown }
  | { verb: 'bulk'; body: unknown }
  | { verb: 'capture' | 'void' | 'reverse'; transaction: string; body: unknown };

/** What one accepted command writes: an event with its receipt, unless there is nothing to change. */
export type Effect =
  | { kind: 'account_created'; account: NewAccount }
  | { kind: 'account_changed'; account: Account }
  | { kind: 'posting'; posting: Posting }
  | { kind: 'void'; hold_id: string }
  | { kind: 'nothing' };

export type Outcome =
  | { kind: 'refused'; refusal: Refusal }
  | { kind: 'accepted'; status: number; effect: Effect }
  | { kind: 'bulk'; status: number; items: ItemOutcome[] };

export type ItemOutcome =
  | { kind: 'refused'; refusal: Refusal }
  | { kind: 'accepted'; effect: Effect }
  | { kind: 'replayed'; key: string };

interface StoredItem {
  fingerprint: string;
  refusal: Refusal | null;
}

export class ReferenceApi {
  ledger = new ReferenceLedger();
  readonly #scales: ReadonlyMap<string, number>;
  /** of bulk items that brought their own key */
  readonly #item_keys = new Map<string, StoredItem>();
  /** the request keys, so that an item cannot use one of them */
  readonly #request_keys = new Set<string>();

  constructor(scales: ReadonlyMap<string, number>) {
    this.#scales = scales;
  }

  /** `now` is the instant at which the log would record it, `arrived` when it came. */
  decide(command: Command, now: bigint, arrived = now): Outcome {
    if (command.verb === 'bulk') return this.#decideBulk(command.body, now, arrived);
    const decision = this.#decideOne(command, now, arrived);
    if ('refused' in decision) return { kind: 'refused', refusal: decision.refused };
    return { kind: 'accepted', status: statusOf(command.verb), effect: decision.accepted };
  }

  /** The key of a request whose answer was stored. */
  keep(key: string): void {
    this.#request_keys.add(key);
  }

  record(effect: Effect, receipt: Receipt): void {
    recordIn(this.ledger, effect, receipt);
  }

  /** The key that each item of a bulk request brings. */
  itemKeys(body: unknown): (string | null)[] {
    return BulkShape.parse(body).transactions.map(itemKey);
  }

  /** The item keys of a bulk request that was answered with results. */
  recordItems(body: unknown, items: ItemOutcome[]): void {
    const bulk = BulkShape.parse(body);
    for (const [i, item] of bulk.transactions.entries()) {
      const outcome = items[i];
      const key = itemKey(item);
      if (key === null || outcome === undefined || outcome.kind === 'replayed') continue;
      if (outcome.kind === 'refused' && !isKept(outcome.refusal)) continue;
      const refused = outcome.kind === 'refused' ? outcome.refusal : null;
      this.#item_keys.set(key, { fingerprint: JSON.stringify(item), refusal: refused });
    }
  }

  #decideOne(command: Exclude<Command, { verb: 'bulk' }>, now: bigint, arrived: bigint): Decision<Effect> {
    const { ledger } = this;
    switch (command.verb) {
      case 'create_account':
        return parsed(AccountShape, command.body, (body) =>
          mapped(decideAccount(ledger, this.#scales, body), (account) => ({
            kind: 'account_created',
            account,
          })),
        );
      case 'update_account':
        return parsed(AccountChangeShape, command.body, (body) =>
          mapped(decideAccountChange(ledger, command.account, body), (account) =>
            isDeepStrictEqual(account, ledger.accounts.get(account.id))
              ? { kind: 'nothing' }
              : accountChanged(account),
          ),
        );
      case 'close_account':
        return mapped(decideClosure(ledger, command.account), accountChanged);
      case 'reopen_account':
        return mapped(decideReopening(ledger, command.account), accountChanged);
      case 'post':
        return parsed(PostingShape, command.body, (body) =>
          mapped(decidePosting(ledger, body, now, arrived), posted),
        );
      case 'capture':
        return parsed(CaptureShape, command.body, (body) =>
          mapped(decideCapture(ledger, command.transaction, body, now), posted),
        );
      case 'void':
        return parsed(VoidShape, command.body, () =>
          mapped(decideVoid(ledger, command.transaction, now), voided),
        );
      case 'reverse':
        return parsed(ReversalShape, command.body, (body) =>
          mapped(decideReversal(ledger, command.transaction, body, now), posted),
        );
    }
  }

  #decideBulk(body: unknown, now: bigint, arrived: bigint): Outcome {
    const bulk = parseBody(BulkShape, body);
    if ('refused' in bulk) return { kind: 'refused', refusal: bulk.refused };
    const { atomic, transactions } = bulk.body;
    const early = this.#earlyRefusal(transactions, atomic);
    if (early !== null) return { kind: 'refused', refusal: early };
    const tried = this.ledger.fork();
    const tried_keys = new Map(this.#item_keys);
    const items: ItemOutcome[] = [];
    for (const [index, item] of transactions.entries()) {
      const tried_item = this.#decideItem(tried, tried_keys, item, now, arrived);
      const outcome = atomic ? this.#refusedBefore(tried_item) : tried_item;
      if (outcome.kind === 'refused' && atomic) {
        return { kind: 'refused', refusal: ofItem(outcome.refusal, index) };
      }
      if (outcome.kind === 'accepted') {
        const receipt = { id: provisionalId(outcome.effect, index), position: 0, recorded_at: now };
        recordIn(tried, outcome.effect, receipt);
      }
      const key = itemKey(item);
      const refused = outcome.kind === 'refused' ? outcome.refusal : null;
      if (key !== null && outcome.kind !== 'replayed' && (refused === null || isKept(refused))) {
        tried_keys.set(key, { fingerprint: JSON.stringify(item), refusal: refused });
      }
      items.push(outcome);
    }
    return { kind: 'bulk', status: atomic ? 201 : 200, items };
  }

  /** The shape of items and their keys are judged before the first of them is decided. Which fault is named is not said. */
  #earlyRefusal(items: unknown[], atomic: boolean): Refusal | null {
    const shapes = items.map((item) => parseBody(bulkItemShape(item), item));
    const keys = items.map((item, i) => ('body' in (shapes[i] ?? {}) ? itemKey(item) : null));
    const pointers = keys.flatMap((key, i) =>
      key !== null && keys.indexOf(key) < i ? [`#/transactions/${i}/idempotency_key`] : [],
    );
    for (const [index, shape] of shapes.entries()) {
      if (atomic && 'refused' in shape) pointers.push(...pointersOf(ofItem(shape.refused, index)));
    }
    return pointers.length === 0 ? null : refusal(400, 'invalid_request', null, { pointers });
  }

  /** To a group, an item that was refused under its key is refused again. */
  #refusedBefore(outcome: ItemOutcome): ItemOutcome {
    if (outcome.kind !== 'replayed') return outcome;
    const refused = this.#item_keys.get(outcome.key)?.refusal ?? null;
    return refused === null ? outcome : { kind: 'refused', refusal: refused };
  }

  #decideItem(
    ledger: ReferenceLedger,
    keys: ReadonlyMap<string, StoredItem>,
    item: unknown,
    now: bigint,
    arrived: bigint,
  ): ItemOutcome {
    // An item's key is part of its body, so the shape of that body comes first.
    const shape = parseBody(bulkItemShape(item), item);
    if ('refused' in shape) return { kind: 'refused', refusal: shape.refused };
    const key = itemKey(item);
    const stored = key === null ? undefined : keys.get(key);
    if (key !== null && (stored !== undefined || this.#request_keys.has(key))) {
      return stored?.fingerprint === JSON.stringify(item)
        ? { kind: 'replayed', key }
        : { kind: 'refused', refusal: refusal(422, 'idempotency_key_reused') };
    }
    const decision = decideParsedItem(ledger, shape.body, now, arrived);
    return 'refused' in decision
      ? { kind: 'refused', refusal: decision.refused }
      : { kind: 'accepted', effect: decision.accepted };
  }
}

function decideParsedItem(
  ledger: ReferenceLedger,
  item: BulkItem,
  now: bigint,
  arrived: bigint,
): Decision<Effect> {
  if ('capture_of' in item)
    return mapped(decideCapture(ledger, item.capture_of, item, now, '#/capture_of'), posted);
  if ('void_of' in item) return mapped(decideVoid(ledger, item.void_of, now), voided);
  if ('reversal_of' in item)
    return mapped(decideReversal(ledger, item.reversal_of, item, now, '#/reversal_of'), posted);
  return mapped(decidePosting(ledger, item, now, arrived), posted);
}

/** Kept under an item's key: what was evaluated against the ledger. A missing target is part of the answer to the whole request. */
function isKept(refused: Refusal): boolean {
  return [404, 409, 422].includes(refused.status) && !refused.code.startsWith('idempotency_key_');
}

/** An item's refusal as the answer to the whole request. */
function ofItem(refused: Refusal, index: number): Refusal {
  const within = (pointer: string) => pointer.replace('#', `#/transactions/${index}`);
  const pointer = refused.pointer === null ? null : within(refused.pointer);
  const pointers = pointersOf(refused).map(within);
  return {
    ...refused,
    pointer,
    extras: { ...refused.extras, ...(pointers.length > 0 ? { pointers } : {}), index },
  };
}

/** All wrong fields of a body that does not have its shape. */
export function pointersOf(refused: Refusal): string[] {
  return z.array(z.string()).catch([]).parse(refused.extras.pointers);
}

function statusOf(verb: Exclude<Command['verb'], 'bulk'>): number {
  return verb === 'create_account' || verb === 'post' || verb === 'capture' || verb === 'reverse' ? 201 : 200;
}

function recordIn(ledger: ReferenceLedger, effect: Effect, receipt: Receipt): void {
  if (effect.kind === 'account_created') ledger.recordAccount({ ...effect.account, id: receipt.id });
  else if (effect.kind === 'account_changed') ledger.recordAccount(effect.account);
  else if (effect.kind === 'posting') ledger.recordPosting(effect.posting, receipt);
  else if (effect.kind === 'void') ledger.recordVoid(effect.hold_id, receipt);
}

function provisionalId(effect: Effect, index: number): string {
  return effect.kind === 'void' ? effect.hold_id : `item ${index}`;
}

/** Whether an id is that of an item which was only tried. */
export function isProvisional(id: unknown): boolean {
  return typeof id === 'string' && /^item \d+$/.test(id);
}

function itemKey(item: unknown): string | null {
  if (typeof item !== 'object' || item === null || !('idempotency_key' in item)) return null;
  return typeof item.idempotency_key === 'string' ? item.idempotency_key : null;
}

function posted(posting: Posting): Effect {
  return { kind: 'posting', posting };
}

function voided(hold_id: string): Effect {
  return { kind: 'void', hold_id };
}

function accountChanged(account: Account): Effect {
  return { kind: 'account_changed', account };
}

function parsed<Shape extends z.ZodType>(
  shape: Shape,
  body: unknown,
  decide: (body: z.output<Shape>) => Decision<Effect>,
): Decision<Effect> {
  const attempt = parseBody(shape, body);
  return 'refused' in attempt ? attempt : decide(attempt.body);
}

function mapped<From>(decision: Decision<From>, to: (accepted: From) => Effect): Decision<Effect> {
  return 'refused' in decision ? decision : { accepted: to(decision.accepted) };
}
