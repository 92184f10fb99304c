// Roll-ups: exact balances, summed over the accounts below a prefix of codes, now and on both time axes.
import { z } from 'zod';
import { type Actor, type Database, queries } from '../../db.ts';
import type { PageRequest } from '../../page.ts';
import { type Found, readingSchema } from '../../reading.ts';
import { CodePrefixSchema } from './account_schema.ts';
import { AsOfSchema, BalanceSchema, CurrentReadingQuerySchema, PositionSchema } from './balance_schema.ts';
import { renderSums } from './balances.ts';
import { checkKnownPosition, KnownAtSchema, knownAt } from './known_at.ts';

const sql = queries(import.meta.url, 'roll_up_allow_time', 'roll_up_list');

export const RollUpQuerySchema = CurrentReadingQuerySchema.extend({
  code_prefix: CodePrefixSchema.optional(),
  as_of: AsOfSchema.optional(),
  known_at: KnownAtSchema.optional(),
  group_by: z.enum(['currency', 'type', 'segment']).optional().meta({
    description:
      'Besides the currency, which always separates: nothing more (`currency`, the default), the type of account, or the next segment of the code after the prefix',
  }),
});
type RollUpQuery = z.infer<typeof RollUpQuerySchema>;

export const RollUpSchema = z
  .object({
    group: z.string().meta({
      description: 'The currency, the type, or the code up to its next segment',
      example: 'customers:eu',
    }),
    currency: z.string().meta({ example: 'EUR' }),
    scale: z.int(),
    account_count: z.int().min(1),
    normal_side: z.enum(['debit', 'credit']).meta({
      description: "The direction of `balance`: the accounts' own, or `debit` where both occur",
    }),
    posted: BalanceSchema.shape.posted,
    pending: BalanceSchema.shape.pending,
    available: BalanceSchema.shape.available,
    position: PositionSchema.meta({ description: 'The last position of the log that could count' }),
  })
  .meta({ id: 'RollUp' });

export const RollUpsSchema = readingSchema(RollUpSchema).extend({
  as_of: BalanceSchema.shape.as_of,
  known_at: BalanceSchema.shape.known_at,
});

/** where a page of roll-ups ended: group and currency */
export const RollUpKeySchema = z.tuple([z.string(), z.string()]);

const RowSchema = z.object({
  head_position: z.number(),
  position: z.number(),
  name: z.string(),
  currency: z.string(),
  scale: z.number(),
  account_count: z.number(),
  is_debit: z.boolean(),
  posted_debits: z.string(),
  posted_credits: z.string(),
  pending_debits: z.string(),
  pending_credits: z.string(),
});
type RollUpRow = z.infer<typeof RowSchema>;
const NoGroupSchema = RowSchema.pick({ head_position: true, position: true }).extend({ name: z.null() });

/** Groups in the order of their names. Each page is a snapshot of its own; it says at which position. Errors: `invalid_request`. */
export async function listRollUps(
  database: Database,
  actor: Actor,
  query: RollUpQuery,
  page: PageRequest<z.infer<typeof RollUpKeySchema>>,
): Promise<Found<RollUpRow>> {
  const [after_name, after_currency] = page.after ?? [null, null];
  const { code_prefix = null, group_by = 'currency', as_of = null, known_at: known = null } = query;
  const values = {
    tenant_id: actor.tenant_id,
    code_prefix,
    group_by,
    after_name,
    after_currency,
    row_limit: page.row_limit,
    ...(await knownAt(database, actor.tenant_id, known)),
    as_of,
  };
  const RowsSchema = z.union([NoGroupSchema, RowSchema]);
  const rows =
    as_of === null && known === null
      ? await database.call(sql.roll_up_list, values, RowsSchema)
      : await database.read(actor, async (tx) => {
          // Another instant than now is a look at the past of every account below the prefix.
          await tx.run(sql.roll_up_allow_time, {});
          return tx.many(sql.roll_up_list, values, RowsSchema);
        });
  const [first] = rows;
  if (first === undefined) throw new Error('a roll-up tells its position');
  checkKnownPosition(known, first.head_position, query.min_position);
  return {
    position: first.position,
    rows: rows.flatMap((row) => (row.name === null ? [] : [row])),
    head: { as_of, known_at: known },
  };
}

export function renderRollUp(row: RollUpRow): z.infer<typeof RollUpSchema> {
  const normal_side = row.is_debit ? 'debit' : 'credit';
  return {
    group: row.name,
    currency: row.currency,
    scale: row.scale,
    account_count: row.account_count,
    normal_side,
    ...renderSums(row, normal_side),
    position: row.position,
  };
}
