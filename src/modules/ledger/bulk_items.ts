// What a bulk request asks for: each item a command with its key, or what is wrong with it.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { key_header_pointer, Problem } from '../../errors.ts';
import { hash16 } from '../../hash.ts';
import { decodeId } from '../../id.ts';
import type { Idempotency, MediaType, Principal } from '../../route.ts';
import { itemProblem } from '../../shape.ts';
import type { Command, Order } from './command.ts';
import { type BulkItem, bulkItemSchema } from './transaction_schema.ts';

export interface BulkRequest {
  principal: Principal;
  atomic: boolean;
  /** an item that could not be parsed is the Problem of that */
  items: unknown[];
  /** in which the items came */
  media_type: MediaType | null;
  instance: string;
  idempotency: Idempotency;
  dry_run: boolean;
}

/** An item as asked for: a command, or what is wrong with it. */
export type Item = { command: Command; has_own_key: boolean } | { problem: Problem; key_hash: string };

/** After this long others have a turn: to say all that is wrong with a large body takes seconds. */
const turn_ms = 10;

/** Each item by itself. `request_id` is that of the request which came first. */
export async function readItems(bulk: BulkRequest, request_id: string): Promise<Item[]> {
  const items: Item[] = [];
  let began_ms = performance.now();
  for (const [index, item] of bulk.items.entries()) {
    items.push(readItem(bulk, request_id, item, index));
    if (performance.now() - began_ms < turn_ms) continue;
    await nextTurn();
    began_ms = performance.now();
  }
  return items;
}

function readItem(bulk: BulkRequest, request_id: string, item: unknown, index: number): Item {
  const derived_hash = hash16(`item ${index} of ${bulk.idempotency.key}`);
  if (item instanceof Problem) return { problem: item, key_hash: derived_hash };
  const parsed = bulkItemSchema(item).safeParse(item);
  if (!parsed.success) return { problem: itemProblem(item, parsed.error), key_hash: derived_hash };
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
        key_pointer: own_key === undefined ? key_header_pointer : '#/idempotency_key',
        index,
      },
      order: orderOf(parsed.data),
    };
    return { command, has_own_key: own_key !== undefined };
  } catch (error) {
    if (error instanceof Problem) return { problem: error, key_hash };
    throw error;
  }
}

/** What of the items this principal may not do, by index. */
export function forbiddenItems(principal: Principal, items: Item[]): number[] {
  if (mayForce(principal)) return [];
  return items.flatMap((item, index) => (isForced(item) ? [index] : []));
}

export function isForced(item: Item): boolean {
  if (!('command' in item)) return false;
  const { order } = item.command;
  return order.kind === 'reversal' && order.request.force === true;
}

/** The items, with these refused. */
export function withForbidden(items: Item[], forbidden: number[]): Item[] {
  if (forbidden.length === 0) return items;
  const refused = new Set(forbidden);
  return items.map((item, index) =>
    refused.has(index) ? { problem: forceForbidden(), key_hash: itemKeyHash(item) } : item,
  );
}

function mayForce(principal: Principal): boolean {
  return principal.can({ action: 'force', subject: 'transaction' });
}

function forceForbidden(): Problem {
  return new Problem('forbidden', 'A forced reversal passes limits, which this API key may not do');
}

export function checkForce(principal: Principal): void {
  if (!mayForce(principal)) throw forceForbidden();
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

/** A key that two items share, or an item and the request, says nothing about either. */
export function checkDistinctKeys(items: Item[], request_key_hash: string): void {
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

export function itemKeyHash(item: Item): string {
  return 'command' in item ? item.command.origin.key_hash : item.key_hash;
}
