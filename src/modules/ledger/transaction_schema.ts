// Transactions on the wire: what a client sends to post, hold, capture and reverse, and what it gets back.
import { z } from 'zod';
import { idSchema, maybeDecodeId } from '../../id.ts';
import { InstantSchema } from '../../instant.ts';
import { AmountSchema } from '../../money.ts';

const max_entries = 1_000;
export const max_bulk_items = 10_000;

const foreign_id = /^[a-z]{3}_[0-9a-hjkmnp-tv-z]{26}$/;

/** An account's id or its code. */
export const AccountReferenceSchema = z
  .string()
  .min(1)
  .max(255)
  .refine((text) => !foreign_id.test(text) || maybeDecodeId('account', text) !== null, {
    error: 'expected an id of the form acc_… or an account code',
  })
  .meta({ description: "An account's id (`acc_…`) or its code", example: 'customers:alice' });

export const DirectionSchema = z.enum(['debit', 'credit']);
export type Direction = z.infer<typeof DirectionSchema>;

export const MetadataSchema = z
  .record(z.string().min(1).max(64), z.string().max(500))
  .refine((metadata) => Object.keys(metadata).length <= 50, { error: 'metadata has at most 50 keys' })
  .meta({
    description: 'Up to 50 pairs of your own; keys up to 64 characters, values up to 500',
    example: { order: 'o_1' },
  });

const EntryRequestSchema = z
  .strictObject({
    account: AccountReferenceSchema,
    direction: DirectionSchema,
    amount: AmountSchema,
    currency: z
      .string()
      .min(3)
      .max(12)
      .optional()
      .meta({ description: "If given, it must be the account's", example: 'EUR' }),
  })
  .meta({ id: 'EntryRequest' });
export type EntryRequest = z.infer<typeof EntryRequestSchema>;

const ReferenceSchema = z
  .string()
  .min(1)
  .max(255)
  .meta({ description: 'Your own name for the transaction, unique in the tenant', example: 'ch_123' });
const DescriptionSchema = z.string().max(1_000).meta({ example: 'capture' });
const EntriesSchema = z.array(EntryRequestSchema).min(2).max(max_entries);
/** instants further away are a mistake of unit, not a plan */
const max_expiry_seconds = 10 * 366 * 24 * 3_600;

const post_fields = {
  entries: EntriesSchema.meta({ description: '2 to 1,000 entries; per currency, debits equal credits' }),
  effective_at: InstantSchema.nullish().meta({
    description: 'Business time; absent means when it is recorded',
  }),
  description: DescriptionSchema.nullish(),
  reference: ReferenceSchema.nullish(),
  metadata: MetadataSchema.optional(),
  status: z
    .enum(['posted', 'pending'])
    .optional()
    .meta({ description: '`pending` makes a hold. Default `posted`' }),
  expires_at: InstantSchema.nullish().meta({ description: 'When a hold ends by itself' }),
  expires_in_seconds: z
    .int()
    .min(1)
    .max(max_expiry_seconds)
    .optional()
    .meta({ description: 'The same, counted from now' }),
};
const expiry_only_for_holds = {
  when: (request: { status?: string | undefined; expires_at?: unknown; expires_in_seconds?: unknown }) =>
    request.status === 'pending' ||
    ((request.expires_at ?? null) === null && request.expires_in_seconds === undefined),
  problem: { error: 'only a hold (`"status": "pending"`) expires', path: ['expires_at'] },
};
const one_expiry = {
  when: (request: { expires_at?: unknown; expires_in_seconds?: unknown }) =>
    (request.expires_at ?? null) === null || request.expires_in_seconds === undefined,
  problem: { error: 'give either expires_at or expires_in_seconds', path: ['expires_in_seconds'] },
};

const example_transaction = {
  entries: [
    { account: 'processor:acquirer', direction: 'debit', amount: '10000', currency: 'EUR' },
    { account: 'customers:alice', direction: 'credit', amount: '10000' },
  ],
  description: 'capture',
  reference: 'ch_123',
  metadata: { order: 'o_1' },
};

export const TransactionRequestSchema = z
  .strictObject(post_fields)
  .refine(expiry_only_for_holds.when, expiry_only_for_holds.problem)
  .refine(one_expiry.when, one_expiry.problem)
  .meta({ id: 'TransactionRequest', example: example_transaction });
export type TransactionRequest = z.infer<typeof TransactionRequestSchema>;

const follow_up_fields = {
  effective_at: post_fields.effective_at,
  description: post_fields.description,
  reference: post_fields.reference,
  metadata: post_fields.metadata,
};
const capture_fields = {
  amount: AmountSchema.optional().meta({ description: 'Part of the hold; absent means all that is left' }),
  entries: EntriesSchema.optional().meta({
    description: 'What to take of each line, when a hold has several',
  }),
  final: z
    .boolean()
    .optional()
    .meta({ description: 'Gives back what is left after this capture. Default false' }),
  ...follow_up_fields,
};
const amount_or_entries = {
  when: (request: { amount?: unknown; entries?: unknown }) =>
    request.amount === undefined || request.entries === undefined,
  problem: { error: 'give either amount or entries', path: ['entries'] },
};

export const CaptureRequestSchema = z
  .strictObject(capture_fields)
  .refine(amount_or_entries.when, amount_or_entries.problem)
  .meta({ id: 'CaptureRequest', example: { amount: '2500' } });
export type CaptureRequest = z.infer<typeof CaptureRequestSchema>;

export const VoidRequestSchema = z.strictObject({}).meta({ id: 'VoidRequest', example: {} });

const reversal_fields = {
  amount: AmountSchema.optional().meta({
    description: 'Part of the transaction; absent means all that is left',
  }),
  entries: EntriesSchema.optional().meta({
    description:
      'Which part, when the transaction has several entries: as the reversal posts them, so each on the side opposite to that of its original',
  }),
  force: z
    .boolean()
    .optional()
    .meta({ description: 'Passes limits; needs the permission `force:transaction`' }),
  ...follow_up_fields,
};
export const ReversalRequestSchema = z
  .strictObject(reversal_fields)
  .refine(amount_or_entries.when, amount_or_entries.problem)
  .meta({ id: 'ReversalRequest', example: { reference: 're_123' } });
export type ReversalRequest = z.infer<typeof ReversalRequestSchema>;

const item_key = {
  idempotency_key: z
    .string()
    .regex(/^[\x21-\x7e]{1,255}$/, '1 to 255 visible ASCII characters')
    .optional()
    .meta({ description: "The item's own key; absent means one derived from the request's" }),
};

const BulkPostSchema = z
  .strictObject({ ...post_fields, ...item_key })
  .refine(expiry_only_for_holds.when, expiry_only_for_holds.problem)
  .refine(one_expiry.when, one_expiry.problem);
const BulkCaptureSchema = z
  .strictObject({ capture_of: idSchema('transaction'), ...capture_fields, ...item_key })
  .refine(amount_or_entries.when, amount_or_entries.problem);
const BulkVoidSchema = z.strictObject({ void_of: idSchema('transaction'), ...item_key });
const BulkReversalSchema = z
  .strictObject({ reversal_of: idSchema('transaction'), ...reversal_fields, ...item_key })
  .refine(amount_or_entries.when, amount_or_entries.problem);

/** The schema that an item claims to follow: by the field that names its target, else a posting. */
export function bulkItemSchema(item: unknown) {
  if (typeof item === 'object' && item !== null) {
    if ('capture_of' in item) return BulkCaptureSchema;
    if ('void_of' in item) return BulkVoidSchema;
    if ('reversal_of' in item) return BulkReversalSchema;
  }
  return BulkPostSchema;
}
export type BulkItem =
  | z.infer<typeof BulkPostSchema>
  | z.infer<typeof BulkCaptureSchema>
  | z.infer<typeof BulkVoidSchema>
  | z.infer<typeof BulkReversalSchema>;

/** What is documented. At runtime each item is checked by itself, so that a wrong one does not hurt the others. */
export const BulkRequestSchema = z
  .strictObject({
    atomic: z
      .boolean()
      .optional()
      .meta({ description: 'All or nothing, which is the default; `false` posts each item on its own' }),
    transactions: z
      .array(
        z
          .union([BulkPostSchema, BulkCaptureSchema, BulkVoidSchema, BulkReversalSchema])
          .meta({ id: 'BulkItem' }),
      )
      .min(1)
      .max(max_bulk_items),
  })
  .meta({ id: 'BulkRequest', example: { atomic: true, transactions: [example_transaction] } });

export const BulkEnvelopeSchema = z.strictObject({
  atomic: z.boolean().default(true),
  transactions: z.array(z.unknown()).min(1, 'a bulk request has at least one item'),
});

export const EntrySchema = z
  .object({
    account_id: idSchema('account'),
    account_code: z.string(),
    direction: DirectionSchema,
    amount: AmountSchema,
    currency: z.string(),
    scale: z.int().min(0).max(18),
  })
  .meta({ id: 'Entry' });

export const TransactionSchema = z
  .object({
    id: idSchema('transaction'),
    position: z
      .int()
      .min(0)
      .meta({ description: "Position of its event in the tenant's log; 0 in a dry run" }),
    recorded_at: InstantSchema,
    effective_at: InstantSchema,
    status: z.enum(['pending', 'posted', 'voided', 'expired']),
    entries: z.array(EntrySchema),
    captures: idSchema('transaction').optional().meta({ description: 'The hold of which this is a capture' }),
    released: z
      .array(EntrySchema)
      .min(1)
      .optional()
      .meta({ description: 'Of a final capture: what it did not take of its hold, and gave back' }),
    reverses: idSchema('transaction')
      .optional()
      .meta({ description: 'The transaction of which this is a reversal' }),
    captured: z
      .string()
      .optional()
      .meta({ description: 'Of a hold in one currency: what was captured, as total debits' }),
    remaining: z
      .string()
      .optional()
      .meta({ description: 'Of a hold in one currency: what is still held, as total debits' }),
    captured_by: z.array(idSchema('transaction')).optional().meta({ description: 'Of a hold: its captures' }),
    reversed_by: z.array(idSchema('transaction')),
    expires_at: InstantSchema.nullable(),
    description: z.string().nullable(),
    reference: z.string().nullable(),
    metadata: z.record(z.string(), z.string()),
    actor_id: idSchema('key'),
  })
  .meta({ id: 'Transaction' });
export type Transaction = z.infer<typeof TransactionSchema>;

/** What a transaction's event says: all but what its columns say. */
export const TransactionFactsSchema = TransactionSchema.omit({
  id: true,
  position: true,
  recorded_at: true,
  effective_at: true,
}).meta({ id: 'TransactionFacts' });

export const BulkResultSchema = z
  .object({
    results: z.array(
      z.object({
        status: z.int(),
        transaction: TransactionSchema.optional(),
        problem: z.looseObject({ code: z.string() }).optional(),
      }),
    ),
  })
  .meta({ id: 'BulkResult' });
