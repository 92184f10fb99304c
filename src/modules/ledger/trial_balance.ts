// The trial balance: every account that does not come to zero, in the column of its side, and totals that must be equal.
import { z } from 'zod';
import { type Actor, type Database, queries } from '../../db.ts';
import { encodeId, idSchema } from '../../id.ts';
import type { PageRequest } from '../../page.ts';
import { checkReached } from '../../position.ts';
import type { Found } from '../../reading.ts';
import { AccountTypeSchema } from './account_schema.ts';
import { AsOfSchema, BalanceSchema, CurrentReadingQuerySchema, PositionSchema } from './balance_schema.ts';
import { checkKnownPosition, KnownAtSchema, knownAt } from './known_at.ts';

const sql = queries(import.meta.url, 'trial_balance_allow_time', 'trial_balance');

export const TrialBalanceQuerySchema = CurrentReadingQuerySchema.extend({
  as_of: AsOfSchema.optional(),
  known_at: KnownAtSchema.optional(),
});
type TrialBalanceQuery = z.infer<typeof TrialBalanceQuerySchema>;

const column = z
  .string()
  .meta({ description: 'Integer minor units; zero in the other column', example: '10000' });

export const TrialBalanceLineSchema = z
  .object({
    account_id: idSchema('account'),
    code: z.string().meta({ example: 'customers:alice' }),
    type: AccountTypeSchema,
    currency: z.string().meta({ example: 'EUR' }),
    scale: z.int(),
    debit: column,
    credit: column,
  })
  .meta({ id: 'TrialBalanceLine' });

const TotalsSchema = z
  .object({ currency: z.string(), scale: z.int(), debits: z.string(), credits: z.string() })
  .meta({ id: 'TrialBalanceTotal' });

export const TrialBalanceSchema = z
  .object({
    position: PositionSchema.meta({ description: 'The last position of the log that could count' }),
    as_of: BalanceSchema.shape.as_of,
    known_at: BalanceSchema.shape.known_at,
    totals: z
      .array(TotalsSchema)
      .nullable()
      .meta({ description: 'Over all accounts, per currency; null on the pages after the first' }),
    data: z.array(TrialBalanceLineSchema),
    has_more: z.boolean(),
    next_cursor: z.string().nullable(),
  })
  .meta({ id: 'TrialBalance' });

/** where a page ended, and the position that all pages are read at, so that they fit together */
export const TrialBalanceKeySchema = z.tuple([z.string(), z.int().nonnegative()]);

const RowSchema = z.object({
  head_position: z.number(),
  position: z.number(),
  totals: z
    .string()
    .transform((text): unknown => JSON.parse(text))
    .pipe(z.array(TotalsSchema))
    .nullable(),
  account_id: z.uuid(),
  code: z.string(),
  type: AccountTypeSchema,
  currency: z.string(),
  scale: z.number(),
  debits: z.string(),
  credits: z.string(),
});
type TrialBalanceRow = z.infer<typeof RowSchema>;
const NoLineSchema = RowSchema.pick({ head_position: true, position: true, totals: true }).extend({
  account_id: z.null(),
});

/** A page of the trial balance, with totals on the first, on one snapshot. Errors: `invalid_request`. */
export async function findTrialBalance(
  database: Database,
  actor: Actor,
  query: TrialBalanceQuery,
  page: PageRequest<z.infer<typeof TrialBalanceKeySchema>>,
): Promise<Found<TrialBalanceRow>> {
  const [after_code, position] = page.after ?? ['', null];
  const known = position ?? query.known_at ?? null;
  const values = {
    tenant_id: actor.tenant_id,
    ...(await knownAt(database, actor.tenant_id, known)),
    as_of: query.as_of ?? null,
    after_code,
    row_limit: page.row_limit,
    with_totals: page.after === null,
  };
  const rows = await database.read(actor, async (tx) => {
    // Totals at another instant than now look at the past of every account.
    await tx.run(sql.trial_balance_allow_time, {});
    return tx.many(sql.trial_balance, values, z.union([NoLineSchema, RowSchema]));
  });
  const [first] = rows;
  if (first === undefined) throw new Error('a trial balance tells its position');
  if (position !== null) checkReached('#/query/cursor', position, first.head_position);
  checkKnownPosition(query.known_at ?? null, first.head_position, query.min_position);
  return {
    position: first.position,
    rows: rows.flatMap((row) => (row.account_id === null ? [] : [row])),
    head: {
      as_of: values.as_of,
      known_at: query.known_at ?? null,
      totals: page.after === null ? (first.totals ?? []) : null,
    },
  };
}

export function renderTrialBalanceLine(row: TrialBalanceRow): z.infer<typeof TrialBalanceLineSchema> {
  return {
    account_id: encodeId('account', row.account_id),
    code: row.code,
    type: row.type,
    currency: row.currency,
    scale: row.scale,
    debit: row.debits,
    credit: row.credits,
  };
}
