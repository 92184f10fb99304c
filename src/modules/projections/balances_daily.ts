// Balances at the end of days: what entries brought, by the day on which they take effect and the day on which they were recorded.
import { z } from 'zod';
import { queries, type Tx } from '../../db.ts';
import { encodeId, idSchema } from '../../id.ts';
import type { PageRequest } from '../../page.ts';
import { ReadingQuerySchema } from '../../reading.ts';
import { findAccount } from '../ledger/index.ts';
import { DateSchema, today } from './days.ts';
import type { Projection } from './projection.ts';

const sql = queries(
  import.meta.url,
  'balances_daily_apply',
  'balances_daily_recount',
  'balances_daily_state',
  'balance_daily_list',
);

export const balances_daily: Projection = {
  name: 'balances_daily',
  description: 'Sums entries by business day and recorded day, for balances at the end of any day',
  tables: ['balances_daily_v'],
  within_ms: 930,
  apply: sql.balances_daily_apply,
  recount: sql.balances_daily_recount,
  state: sql.balances_daily_state,
};

export const DailyQuerySchema = ReadingQuerySchema.extend({
  as_of: DateSchema.optional().meta({
    description: 'At the end of this business day (UTC). Default today',
    example: '2026-10-31',
  }),
  known_on: DateSchema.optional().meta({
    description: 'Only what had been recorded by the end of this day (UTC). Absent: all that is recorded',
    example: '2026-11-02',
  }),
  account: z
    .string()
    .max(255)
    .optional()
    .meta({ description: 'Only this account, by id or code', example: 'customers:alice' }),
  code_prefix: z
    .string()
    .regex(/^[A-Za-z0-9_.:-]{1,255}$/, 'a prefix of codes')
    .optional()
    .meta({ description: 'Only accounts whose codes begin so', example: 'customers:' }),
  currency: z.string().max(12).optional().meta({ example: 'EUR' }),
});

const sum = z
  .string()
  .regex(/^(0|-?[1-9][0-9]*)$/)
  .meta({ description: 'Integer minor units', example: '10000' });

export const DailyBalanceSchema = z
  .object({
    account_id: idSchema('account'),
    account_code: z.string().meta({ example: 'customers:alice' }),
    type: z.string().meta({ example: 'liability' }),
    currency: z.string().meta({ example: 'EUR' }),
    scale: z.int(),
    posted_debits: sum,
    posted_credits: sum,
    pending_debits: sum.meta({ description: 'Held at the end of the day' }),
    pending_credits: sum.meta({ description: 'Held at the end of the day' }),
    balance: sum.meta({ description: "Posted, in the account's normal direction" }),
  })
  .meta({ id: 'DailyBalance' });

const RowSchema = z.object({
  account_id: z.uuid(),
  code: z.string(),
  type: z.string(),
  currency: z.string(),
  scale: z.number(),
  posted_debits: z.string(),
  posted_credits: z.string(),
  pending_debits: z.string(),
  pending_credits: z.string(),
});
export type DailyRow = z.infer<typeof RowSchema>;

/** In the order of codes; accounts without entries by then are left out. Errors: `not_found` for an account. */
export async function listDailyBalances(
  tx: Tx,
  version: number,
  query: z.infer<typeof DailyQuerySchema>,
  page: PageRequest<string>,
): Promise<DailyRow[]> {
  const { account } = query;
  return tx.many(
    sql.balance_daily_list,
    {
      tenant_id: tx.actor.tenant_id,
      version,
      as_of: query.as_of ?? today(),
      known_on: query.known_on ?? null,
      account: account === undefined ? null : (await findAccount(tx, account)).id,
      code_prefix: query.code_prefix ?? null,
      currency: query.currency ?? null,
      after_code: page.after,
      row_limit: page.row_limit,
    },
    RowSchema,
  );
}

export function renderDailyBalance({ code, ...row }: DailyRow): z.infer<typeof DailyBalanceSchema> {
  const net = BigInt(row.posted_debits) - BigInt(row.posted_credits);
  return {
    account_id: encodeId('account', row.account_id),
    account_code: code,
    type: row.type,
    currency: row.currency,
    scale: row.scale,
    posted_debits: row.posted_debits,
    posted_credits: row.posted_credits,
    pending_debits: row.pending_debits,
    pending_credits: row.pending_credits,
    balance: `${['asset', 'expense'].includes(row.type) ? net : -net}`,
  };
}
