// Balances on the wire, and the two time axes of a question about one.
import { z } from 'zod';
import { idSchema } from '../../id.ts';
import { InstantSchema, maybeInstant } from '../../instant.ts';
import { checkReached, MinPositionSchema } from '../../position.ts';
import { ReadingQuerySchema } from '../../reading.ts';

const sum = z
  .string()
  .regex(/^(0|-?[1-9][0-9]*)$/)
  .meta({ description: 'Integer minor units', example: '10000' });

export const PositionSchema = z
  .int()
  .min(0)
  .meta({ description: "A position in the tenant's log", example: 8812 });

/** What the posted layer of an account comes to. */
const PostedSchema = z
  .object({
    debits: sum,
    credits: sum,
    balance: sum.meta({ description: "In the account's normal direction" }),
  })
  .meta({ id: 'Posted' });

const PendingSchema = z
  .object({
    out: sum.meta({ description: 'Held on the side on which the account falls' }),
    in: sum.meta({ description: 'Held for the account; not spendable' }),
  })
  .meta({ id: 'Pending' });

/** `known_at` as it was asked: an instant, or a position of the log. */
export const KnownAtSchema = z
  .string()
  .transform((text, context) => {
    if (/^(0|[1-9][0-9]{0,15})$/.test(text) && Number.isSafeInteger(Number(text))) return Number(text);
    const instant = maybeInstant(text);
    if (instant !== null) return instant;
    context.addIssue({
      code: 'custom',
      message: 'known_at is an instant in UTC (RFC 3339, with Z or %2B00:00) or a position of the log',
    });
    return z.NEVER;
  })
  .meta({
    description:
      'Only what had been recorded by then: an instant, or a position of the log. One in the future sees all that is recorded so far',
    example: '2026-11-20T09:00:00Z',
  });

/** Errors: `invalid_request` for a `known_at` or a `min_position` that the log has not reached. */
export function checkKnownPosition(
  known: number | string | null,
  head_position: number,
  min_position?: number,
): void {
  if (typeof known === 'number') checkReached('#/query/known_at', known, head_position);
  if (min_position !== undefined) checkReached('#/query/min_position', min_position, head_position);
}

export const AsOfSchema = InstantSchema.meta({
  description:
    'Only what is in effect at or before this instant. In the future: as it will be if nothing more is recorded, holds that expire by then taken off',
  example: '2026-10-31T23:59:59.999999Z',
});

/** Of the lists of balances, to be extended by filters. */
export const CurrentReadingQuerySchema = ReadingQuerySchema.extend({
  min_position: MinPositionSchema.meta({
    description:
      'Everything up to the head of the log counts always, so there is nothing to wait for; a position beyond it is refused',
  }),
});

export const BalanceQuerySchema = z.strictObject({
  as_of: AsOfSchema.optional(),
  known_at: KnownAtSchema.optional(),
});
export type BalanceQuery = z.infer<typeof BalanceQuerySchema>;

export const BalanceSchema = z
  .object({
    account_id: idSchema('account'),
    currency: z.string().meta({ example: 'EUR' }),
    scale: z.int().min(0).max(18).meta({ example: 2 }),
    posted: PostedSchema,
    pending: PendingSchema,
    available: sum.meta({ description: '`posted.balance` less `pending.out`', example: '7500' }),
    position: PositionSchema.meta({ description: 'The last position of the log that could count' }),
    as_of: InstantSchema.nullable().meta({ description: 'As asked' }),
    known_at: z.union([InstantSchema, PositionSchema]).nullable().meta({ description: 'As asked' }),
  })
  .meta({ id: 'Balance' });
export type Balance = z.infer<typeof BalanceSchema>;
