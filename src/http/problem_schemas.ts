// The schema of each problem: the members that all have, `code` as the discriminator, and the extras of its code.
import type { SchemaObject } from 'openapi3-ts/oas31';
import { type ProblemCode, problems } from '../errors.ts';

const text: SchemaObject = { type: 'string' };
const amount: SchemaObject = { type: 'string', description: 'Integer minor units', examples: ['12345'] };

const ids: SchemaObject = { type: 'array', items: text, description: 'The newest, at most 100' };

/** Members beyond the common ones. */
const extras: Partial<Record<ProblemCode, Record<string, SchemaObject>>> = {
  account_closed: { account: text },
  account_not_found: { account: text },
  already_reversed: { reversed_by: ids },
  amount_too_large: { currency: text },
  body_too_large: { limit_bytes: { type: 'integer' } },
  capture_exceeds_hold: { remaining: amount },
  currency_mismatch: { account: text, currency: text },
  entries_unbalanced: { currency: text, debits: amount, credits: amount },
  forbidden: { required_permission: { type: 'string', examples: ['create:transaction'] } },
  insufficient_funds: { account: text, available: amount, required: amount, available_min: amount },
  limit_exceeded: { account: text, posted: amount, added: amount, posted_max: amount },
  projection_behind: { position: { type: 'integer' }, min_position: { type: 'integer' } },
  reference_taken: {
    reference: text,
    transaction_id: { ...text, description: 'Of the transaction that has it' },
    reference_index: {
      type: 'integer',
      description:
        'In place of `transaction_id`: of the item of the same bulk request that has it, where none of its items is kept',
    },
  },
  reversal_exceeds_transaction: { remaining: amount },
  transaction_not_pending: { transaction_status: text },
  transaction_not_posted: { captured_by: ids },
};

const field_errors: SchemaObject = {
  type: 'array',
  items: {
    type: 'object',
    properties: {
      pointer: { ...text, description: 'RFC 6901, such as `#/entries/0/amount` or `#/query/limit`' },
      code: text,
      detail: text,
    },
    required: ['pointer', 'code', 'detail'],
  },
};

export function problemComponentName(code: ProblemCode): string {
  const words = code.split('_').map((word) => word.charAt(0).toUpperCase() + word.slice(1));
  return `${words.join('')}Problem`;
}

export function problemComponent(code: ProblemCode): SchemaObject {
  const { status, title, retryable = false } = problems[code];
  return {
    type: 'object',
    description: title,
    properties: {
      type: { type: 'string', format: 'uri' },
      code: { type: 'string', const: code },
      title: text,
      status: { type: 'integer', const: status },
      detail: text,
      instance: { ...text, description: 'The target of the request' },
      request_id: text,
      retryable: { type: 'boolean', const: retryable },
      errors: field_errors,
      index: { type: 'integer', description: 'Of the item of a bulk request that was refused' },
      ...extras[code],
    },
    required: ['type', 'code', 'title', 'status', 'detail', 'instance', 'request_id', 'retryable'],
  };
}
