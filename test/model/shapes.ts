// What a request body must look like, written down once more from the contract. Tells which fields are wrong, as JSON pointers.
import { z } from 'zod';
import { type Refusal, refusal } from './facts.ts';

const Amount = z.string().regex(/^[1-9][0-9]{0,37}$/);
const SignedAmount = z.string().regex(/^(0|-?[1-9][0-9]{0,37})$/);
/** UTC, as Z or as +00:00. */
const Instant = z.iso.datetime({ offset: true }).regex(/(Z|\+00:00)$/);
const Metadata = z.record(z.string(), z.string());

const EntryShape = z.strictObject({
  account: z.string().min(1),
  direction: z.enum(['debit', 'credit']),
  amount: Amount,
  currency: z.string().optional(),
});

const described = {
  effective_at: Instant.nullish(),
  description: z.string().max(1000).nullish(),
  reference: z.string().min(1).max(255).nullish(),
  metadata: Metadata.optional(),
};
const posting = {
  ...described,
  entries: z.array(EntryShape).min(2).max(1000),
  status: z.enum(['posted', 'pending']).default('posted'),
  expires_at: Instant.nullish(),
  expires_in_seconds: z.int().min(1).optional(),
};
const capture = {
  ...described,
  amount: Amount.optional(),
  entries: z.array(EntryShape).min(2).max(1000).optional(),
  final: z.boolean().default(false),
};
const reversal = {
  ...described,
  amount: Amount.optional(),
  entries: z.array(EntryShape).min(2).max(1000).optional(),
  force: z.boolean().default(false),
};

interface Expiring {
  status: 'posted' | 'pending';
  expires_at?: string | null | undefined;
  expires_in_seconds?: number | undefined;
}

/** Only a hold expires, and in one way. */
function expiresOnce(body: Expiring, context: z.RefinementCtx): void {
  const at = typeof body.expires_at === 'string';
  const after = body.expires_in_seconds !== undefined;
  const path = after ? 'expires_in_seconds' : 'expires_at';
  if ((at && after) || ((at || after) && body.status === 'posted')) {
    context.addIssue({ code: 'custom', message: 'only a hold expires, and in one way', path: [path] });
  }
}

/** A part is an amount or entries, not both. */
function saysPartOnce(body: { amount?: unknown; entries?: unknown }, context: z.RefinementCtx): void {
  if (body.amount !== undefined && body.entries !== undefined) {
    context.addIssue({ code: 'custom', message: 'either amount or entries', path: ['entries'] });
  }
}

export const PostingShape = z.strictObject(posting).superRefine(expiresOnce);
export type PostingBody = z.output<typeof PostingShape>;

export const CaptureShape = z.strictObject(capture).superRefine(saysPartOnce);
export type CaptureBody = z.output<typeof CaptureShape>;

export const ReversalShape = z.strictObject(reversal).superRefine(saysPartOnce);
export type ReversalBody = z.output<typeof ReversalShape>;
export type Described = Pick<CaptureBody, keyof typeof described>;

export const VoidShape = z.strictObject({});

const Limit = SignedAmount.nullable().optional();
const LimitsShape = z.strictObject({ available_min: Limit, posted_max: Limit });

export const AccountShape = z.strictObject({
  code: z.string().regex(/^[A-Za-z0-9_.-]+(:[A-Za-z0-9_.-]+)*$/),
  name: z.string().nullish(),
  type: z.enum(['asset', 'liability', 'equity', 'revenue', 'expense']),
  currency: z.string(),
  limits: LimitsShape.optional(),
  metadata: Metadata.optional(),
});

export const AccountChangeShape = z.strictObject({
  name: z.string().nullable().optional(),
  limits: LimitsShape.optional(),
  metadata: z.record(z.string(), z.string().nullable()).optional(),
});

const key = { idempotency_key: z.string().optional() };
const id = z.string();
const PostingItem = z.strictObject({ ...posting, ...key }).superRefine(expiresOnce);
const CaptureItem = z.strictObject({ ...capture, ...key, capture_of: id }).superRefine(saysPartOnce);
const VoidItem = z.strictObject({ ...key, void_of: id });
const ReversalItem = z.strictObject({ ...reversal, ...key, reversal_of: id }).superRefine(saysPartOnce);
type BulkItemShape = typeof PostingItem | typeof CaptureItem | typeof VoidItem | typeof ReversalItem;
export type BulkItem = z.output<BulkItemShape>;

/** An item is what it follows up on, or a transaction. */
export function bulkItemShape(item: unknown): BulkItemShape {
  if (typeof item !== 'object' || item === null) return PostingItem;
  if ('capture_of' in item) return CaptureItem;
  if ('void_of' in item) return VoidItem;
  return 'reversal_of' in item ? ReversalItem : PostingItem;
}

export const BulkShape = z.strictObject({
  atomic: z.boolean().default(true),
  transactions: z.array(z.unknown()).min(1).max(10_000),
});

export type Parsed<Body> = { body: Body } | { refused: Refusal };

/** Every wrong field is a fault; the refusal names one of them, and `extras.pointers` them all. */
export function parseBody<Shape extends z.ZodType>(shape: Shape, body: unknown): Parsed<z.output<Shape>> {
  const parsed = shape.safeParse(body);
  if (parsed.success) return { body: parsed.data };
  const pointers = parsed.error.issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((key) => pointerTo([...issue.path, key]))
      : [pointerTo(issue.path)],
  );
  return { refused: refusal(400, 'invalid_request', pointers[0] ?? '#', { pointers }) };
}

function pointerTo(path: PropertyKey[]): string {
  return `#${path.map((step) => `/${String(step)}`).join('')}`;
}
