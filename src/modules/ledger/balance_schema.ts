// Balances on the wire, and the two time axes of a question about one.
import { z } from 'zod';
import { idSchema } from '../../id.ts';
import { InstantSchema } from '../../instant.ts';
import { MinPositionSchema } from '../../position.ts';
import { ReadingQuerySchema } from '../../reading.ts';
import { KnownAtSchema } from './known_at.ts';

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
