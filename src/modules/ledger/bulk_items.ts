// What a bulk request asks for: each item a command with its key, or what is wrong with it.
import type { z } from 'zod';
import { type FieldError, key_header_pointer, Problem } from '../../errors.ts';
import { hash16 } from '../../hash.ts';
import { decodeId } from '../../id.ts';
import type { Idempotency, Principal } from '../../route.ts';
import type { Command, Order } from './command.ts';
import { type BulkItem, bulkItemSchema } from './transaction_schema.ts';

export interface BulkRequest {
  principal: Principal;
  atomic: boolean;
  /** an item that could not be parsed is the Problem of that */
  items: unknown[];
  instance: string;
  idempotency: Idempotency;
  dry_run: boolean;
}

/** An item as asked for: a command, or what is wrong with it. */
export type Item = { command: Command; has_own_key: boolean } | { problem: Problem; key_hash: string };

export function readItems(bulk: BulkRequest, request_id: string): Item[] {
  return bulk.items.map((item, index) => {
    const derived_hash = hash16(`item ${index} of ${bulk.idempotency.key}`);
    if (item instanceof Problem) return { problem: item, key_hash: derived_hash };
    const parsed = bulkItemSchema(item).safeParse(item);
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
          key_pointer: own_key === undefined ? key_header_pointer : '#/idempotency_key',
          index,
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
