// Roll-ups: exact balances now, summed over the accounts below a prefix of codes.
import { z } from 'zod';
import { type Database, queries } from '../../db.ts';
import { PageQuerySchema, type PageRequest } from '../../page.ts';
import { CodePrefixSchema } from './account_schema.ts';
import { BalanceSchema, PositionSchema } from './balance_schema.ts';
import { renderSums } from './balances.ts';

const sql = queries(import.meta.url, 'roll_up_list');

export const RollUpQuerySchema = PageQuerySchema.extend({
  code_prefix: CodePrefixSchema.optional(),
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

/** where a page of roll-ups ended: group and currency */
export const RollUpKeySchema = z.tuple([z.string(), z.string()]);

const RowSchema = z.object({
  head_position: z.number(),
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
export type RollUpRow = z.infer<typeof RowSchema>;

/** Groups in the order of their names. Each page is a snapshot of its own; it says at which position. */
export async function listRollUps(
  database: Database,
  tenant_id: string,
  query: RollUpQuery,
  page: PageRequest<z.infer<typeof RollUpKeySchema>>,
): Promise<RollUpRow[]> {
  const [after_name, after_currency] = page.after ?? [null, null];
  return database.call(
    sql.roll_up_list,
    {
      tenant_id,
      code_prefix: query.code_prefix ?? null,
      group_by: query.group_by ?? 'currency',
      after_name,
      after_currency,
      row_limit: page.row_limit,
    },
    RowSchema,
  );
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
    position: row.head_position,
  };
}
