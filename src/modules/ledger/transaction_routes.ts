// Routes of transactions: post, hold, capture, void, reverse, in bulk, and read.
import { z } from 'zod';
import { key_header_pointer, Problem, type ProblemCode } from '../../errors.ts';
import { decodeId, idSchema } from '../../id.ts';
import { InstantRangeSchema } from '../../instant.ts';
import { AmountSchema } from '../../money.ts';
import { PageQuerySchema, pageReply, pageRequest, pageSchema } from '../../page.ts';
import { callRoute, type Idempotency, type Input, postRoute, type Reply, type Route } from '../../route.ts';
import { CodePrefixSchema } from './account_schema.ts';
import { postBulk } from './bulk.ts';
import { checkForce } from './bulk_items.ts';
import type { Order, Outcome } from './command.ts';
import type { Poster } from './poster.ts';
import {
  AccountReferenceSchema,
  BulkEnvelopeSchema,
  BulkRequestSchema,
  BulkResultSchema,
  CaptureRequestSchema,
  MetadataSchema,
  max_bulk_items,
  ReversalRequestSchema,
  TransactionRequestSchema,
  TransactionSchema,
  VoidRequestSchema,
} from './transaction_schema.ts';
import type { TransactionReader } from './transactions.ts';

const tag = 'Transactions';
const bulk_body_limit_bytes = 32 * 1_024 * 1_024;

const DryRunSchema = z
  .enum(['true', 'false'])
  .transform((text) => text === 'true')
  .optional()
  .meta({
    description: 'Evaluates everything and writes nothing; the answer is 200 with position 0',
    example: 'true',
  });
const PostQuerySchema = z.strictObject({ dry_run: DryRunSchema });
const TransactionParamsSchema = z.strictObject({ transaction: idSchema('transaction') });

const posting_problems: ProblemCode[] = [
  'account_not_found',
  'currency_mismatch',
  'entries_unbalanced',
  'accounts_must_differ',
  'account_closed',
  'amount_too_large',
  'reference_taken',
  'insufficient_funds',
  'limit_exceeded',
  'ledger_halted',
];

const TransactionListQuerySchema = PageQuerySchema.extend({
  account: AccountReferenceSchema.optional(),
  account_prefix: CodePrefixSchema.optional(),
  status: z.enum(['pending', 'posted', 'voided', 'expired']).optional(),
  reference: z.string().min(1).max(255).optional(),
  metadata: MetadataSchema.optional().meta({ description: '`metadata[key]=value`; several must all hold' }),
  effective_at: InstantRangeSchema.optional(),
  recorded_at: InstantRangeSchema.optional(),
  amount: z
    .strictObject({ gte: AmountSchema.optional(), lte: AmountSchema.optional() })
    .optional()
    .meta({ description: 'Of any of its entries, in minor units' }),
});
export type TransactionFilters = z.infer<typeof TransactionListQuerySchema>;

/** A customer's card payment of 100.00 EUR. */
const example_transaction = {
  entries: [
    { account: 'processor:acquirer', direction: 'debit', amount: '10000', currency: 'EUR' },
    { account: 'customers:alice', direction: 'credit', amount: '10000' },
  ],
  effective_at: '2026-11-20T09:00:00Z',
  description: 'card payment',
  reference: 'ch_123',
  metadata: { order: 'o_1' },
};

export function transactionRoutes(poster: Poster, transactions: TransactionReader): Route[] {
  const post = async (
    input: Input<unknown, { dry_run?: boolean | undefined }>,
    idempotency: Idempotency,
    order: Order,
  ): Promise<Reply> => {
    const { tenant_id, actor_id, request_id } = input.principal;
    const { key_hash, request_hash } = idempotency;
    const key_pointer = key_header_pointer;
    const origin = { actor_id, request_id, instance: input.url, key_hash, request_hash, key_pointer };
    const command = { origin, order };
    if (input.query.dry_run === true) {
      const [outcome] = await poster.evaluate(tenant_id, [command]);
      if (outcome === undefined) throw new Error('a command without outcome');
      const reply = replyOf(outcome);
      return reply.status >= 400 ? reply : { ...reply, status: 200 };
    }
    return replyOf(await poster.submit(tenant_id, command));
  };

  return [
    postRoute({
      method: 'post',
      path: '/v1/transactions',
      operation_id: 'postTransaction',
      summary: 'Post a transaction, or hold money',
      description:
        'Writes all entries or none. `"status": "pending"` makes a hold, which is captured, voided, or ends by itself at `expires_at`. ' +
        'Checked in this order: accounts, currencies, balance, distinct accounts, closed accounts, expiry, reference, limits.',
      tag,
      permission: { action: 'create', subject: 'transaction' },
      query: PostQuerySchema,
      body: TransactionRequestSchema,
      example: example_transaction,
      responses: { 201: TransactionSchema, 200: TransactionSchema },
      problems: [...posting_problems, 'expiry_in_past'],
      handler: (input, idempotency) => post(input, idempotency, { kind: 'post', request: input.body }),
    }),
    postRoute({
      method: 'post',
      path: '/v1/transactions/{transaction}/capture',
      operation_id: 'captureTransaction',
      summary: 'Post part or all of a hold',
      description:
        'Makes a posted transaction of its own, with `captures`. Without a body it takes all that is left. The rest stays held unless `final`. An amount suffices for a hold with ' +
        'one debit and one credit; of a hold with several, name the entries.',
      tag,
      permission: { action: 'create', subject: 'transaction' },
      params: TransactionParamsSchema,
      query: PostQuerySchema,
      body: CaptureRequestSchema.optional(),
      example: { amount: '2500', final: true },
      responses: { 201: TransactionSchema, 200: TransactionSchema },
      problems: [
        'not_found',
        'transaction_not_pending',
        'entries_required',
        'capture_exceeds_hold',
        ...posting_problems,
      ],
      handler: (input, idempotency) =>
        post(input, idempotency, { kind: 'capture', ...targetOf(input.params), request: input.body ?? {} }),
    }),
    postRoute({
      method: 'post',
      path: '/v1/transactions/{transaction}/void',
      operation_id: 'voidTransaction',
      summary: 'Give back what is left of a hold',
      description: 'Works on closed accounts too. Answers the hold as it is then.',
      tag,
      permission: { action: 'create', subject: 'transaction' },
      params: TransactionParamsSchema,
      query: PostQuerySchema,
      body: VoidRequestSchema.optional(),
      responses: { 200: TransactionSchema },
      problems: ['not_found', 'transaction_not_pending', 'ledger_halted'],
      handler: (input, idempotency) => post(input, idempotency, { kind: 'void', ...targetOf(input.params) }),
    }),
    postRoute({
      method: 'post',
      path: '/v1/transactions/{transaction}/reversal',
      operation_id: 'reverseTransaction',
      summary: 'Reverse a transaction',
      description:
        'An equal and opposite transaction, linked both ways. Partial reversals run down what is left. An amount suffices for a part of a ' +
        'transaction with one debit and one credit; of one with several, name the entries as the reversal posts them: each within what is ' +
        'left of its account and side. `force` passes limits and needs the permission `force:transaction`.',
      tag,
      permission: { action: 'create', subject: 'transaction' },
      params: TransactionParamsSchema,
      query: PostQuerySchema,
      body: ReversalRequestSchema.optional(),
      responses: { 201: TransactionSchema, 200: TransactionSchema },
      problems: [
        'not_found',
        'transaction_not_posted',
        'already_reversed',
        'entries_required',
        'reversal_exceeds_transaction',
        ...posting_problems,
      ],
      handler: (input, idempotency) => {
        const request = input.body ?? {};
        if (request.force === true) checkForce(input.principal);
        return post(input, idempotency, { kind: 'reversal', ...targetOf(input.params), request });
      },
    }),
    postRoute({
      method: 'post',
      path: '/v1/transactions/bulk',
      operation_id: 'postTransactionsInBulk',
      summary: 'Post up to 10,000 transactions',
      description:
        'In order, all or nothing (201), or with `"atomic": false` each on its own (200). An item is a transaction, or names with ' +
        '`capture_of`, `void_of` or `reversal_of` the one it follows up. As `application/x-ndjson`, one item per line, `?atomic=false` says the same.',
      tag,
      permission: { action: 'create', subject: 'transaction' },
      query: z.strictObject({
        dry_run: DryRunSchema,
        atomic: z
          .enum(['true', 'false'])
          .transform((text) => text === 'true')
          .optional()
          .meta({ description: 'Of an NDJSON body only; a JSON body says it itself. Default `true`' }),
      }),
      body: BulkEnvelopeSchema,
      documented_body: BulkRequestSchema,
      example: { atomic: true, transactions: [example_transaction] },
      body_limit_bytes: bulk_body_limit_bytes,
      items: { field: 'transactions', max: max_bulk_items },
      responses: { 201: BulkResultSchema, 200: BulkResultSchema },
      problems: [
        'bulk_too_large',
        'not_found',
        'transaction_not_pending',
        'transaction_not_posted',
        'already_reversed',
        'entries_required',
        'capture_exceeds_hold',
        'reversal_exceeds_transaction',
        'expiry_in_past',
        ...posting_problems,
      ],
      handler: (input, idempotency) => {
        if (input.query.atomic !== undefined && input.media_type === 'json') throw atomicInQuery();
        return postBulk(poster, transactions, {
          principal: input.principal,
          atomic: input.query.atomic ?? input.body.atomic,
          items: input.body.transactions,
          media_type: input.media_type,
          instance: input.url,
          idempotency,
          dry_run: input.query.dry_run ?? false,
        });
      },
    }),
    callRoute({
      method: 'get',
      path: '/v1/transactions',
      operation_id: 'listTransactions',
      summary: 'List transactions',
      description: 'Newest first. All filters must hold.',
      tag,
      permission: { action: 'read', subject: 'transaction' },
      query: TransactionListQuerySchema,
      responses: { 200: pageSchema(TransactionSchema) },
      problems: ['not_found', 'cursor_invalid', 'cursor_mismatch'],
      handler: async (input) => {
        const page = pageRequest('transactions', input.query, z.int().positive());
        const rows = await transactions.list(input.principal.tenant_id, input.query, page);
        return pageReply(
          'transactions',
          input,
          rows,
          (row) => row.position,
          (row) => row,
        );
      },
    }),
    callRoute({
      method: 'get',
      path: '/v1/transactions/{transaction}',
      operation_id: 'findTransaction',
      summary: 'Read a transaction',
      description: 'As it is now: with its status, what is left of a hold, its captures and reversals.',
      tag,
      permission: { action: 'read', subject: 'transaction' },
      params: TransactionParamsSchema,
      responses: { 200: TransactionSchema },
      problems: ['not_found'],
      handler: async (input) => {
        const { target_id } = targetOf(input.params);
        const found = await transactions.maybeFind(input.principal.tenant_id, target_id);
        if (found === null) throw new Problem('not_found', 'There is no such transaction');
        return { status: 200, body: found };
      },
    }),
  ];
}

function targetOf(params: { transaction: string }) {
  const pointer = '#/path/transaction';
  return { target_id: decodeId('transaction', params.transaction, pointer), pointer };
}

function atomicInQuery(): Problem {
  const pointer = '#/query/atomic';
  const detail = 'a JSON body says `atomic` itself';
  return new Problem('invalid_request', `${pointer}: ${detail}`, {
    errors: [{ pointer, code: 'unknown_field', detail }],
  });
}

function replyOf(outcome: Outcome): Reply {
  if (outcome.state === 'rejected') throw outcome.problem;
  const { status, body, replayed } = outcome;
  return replayed ? { status, body, headers: { 'Idempotent-Replayed': 'true' } } : { status, body };
}
