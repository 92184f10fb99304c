// Daily activity per type of account, currency and dimension.
import { z } from 'zod';
import { queries, type Tx } from '../../db.ts';
import type { PageRequest } from '../../page.ts';
import { ReadingQuerySchema } from '../../reading.ts';
import { DateSchema } from './days.ts';
import type { Projection } from './projection.ts';
import { checkDimension } from './report_dimensions.ts';

const sql = queries(import.meta.url, 'reports_apply', 'reports_recount', 'reports_state', 'report_list');

export const reports: Projection = {
  name: 'reports',
  description: 'Sums what is posted by business day, type of account, currency and dimension',
  tables: ['reports_v', 'report_transactions_v'],
  within_ms: 930,
  apply: sql.reports_apply,
  recount: sql.reports_recount,
  state: sql.reports_state,
};

const account_types = z.enum(['asset', 'liability', 'equity', 'revenue', 'expense']);

export const ActivityQuerySchema = ReadingQuerySchema.extend({
  from: DateSchema.optional().meta({ description: 'The first business day (UTC)', example: '2026-10-01' }),
  as_of: DateSchema.optional().meta({ description: 'The last business day (UTC)', example: '2026-10-31' }),
  dimension: z.string().min(1).max(64).optional().meta({
    description:
      'Split by the values of this dimension (`GET /v1/report_dimensions`); transactions without it are left out. Absent: all transactions',
    example: 'channel',
  }),
  value: z.string().max(500).optional().meta({ description: 'Only this value of the dimension' }),
  account_type: account_types.optional(),
  currency: z.string().max(12).optional().meta({ example: 'EUR' }),
}).refine(({ dimension, value }) => value === undefined || dimension !== undefined, {
  path: ['value'],
  error: 'a value is one of a dimension: give that too',
  params: { code: 'dimension_missing' },
});

const sum = z
  .string()
  .regex(/^(0|[1-9][0-9]*)$/)
  .meta({ description: 'Integer minor units', example: '10000' });

export const ActivitySchema = z
  .object({
    effective_on: z.iso.date().meta({ description: 'Business day (UTC)', example: '2026-10-31' }),
    dimension: z.string().nullable(),
    value: z.string().nullable(),
    account_type: account_types,
    currency: z.string().meta({ example: 'EUR' }),
    scale: z.int(),
    debits: sum,
    credits: sum,
    entry_count: z.int(),
  })
  .meta({ id: 'Activity', description: 'What was posted on a business day to accounts of a type' });

/** where a page ended: day, value, type and currency */
export const ActivityKeySchema = z.tuple([DateSchema, z.string(), z.string(), z.string()]);

const RowSchema = z.object({
  effective_on: z.string(),
  dimension: z.string(),
  value: z.string(),
  account_type: account_types,
  currency: z.string(),
  scale: z.number(),
  debits: z.string(),
  credits: z.string(),
  entry_count: z.number(),
});
export type ActivityRow = z.infer<typeof RowSchema>;

/** In the order of days. Errors: `not_found` for a dimension. */
export async function listActivity(
  tx: Tx,
  version: number,
  query: z.infer<typeof ActivityQuerySchema>,
  page: PageRequest<z.infer<typeof ActivityKeySchema>>,
): Promise<ActivityRow[]> {
  const { dimension } = query;
  if (dimension !== undefined) await checkDimension(tx, dimension);
  const [after_on, after_value, after_type, after_currency] = page.after ?? [null, null, null, null];
  return tx.many(
    sql.report_list,
    {
      tenant_id: tx.actor.tenant_id,
      version,
      dimension: dimension ?? null,
      from: query.from ?? null,
      as_of: query.as_of ?? null,
      value: query.value ?? null,
      account_type: query.account_type ?? null,
      currency: query.currency ?? null,
      after_on,
      after_value,
      after_type,
      after_currency,
      row_limit: page.row_limit,
    },
    RowSchema,
  );
}

export function renderActivity(row: ActivityRow): z.infer<typeof ActivitySchema> {
  const is_whole = row.dimension === '';
  return { ...row, dimension: is_whole ? null : row.dimension, value: is_whole ? null : row.value };
}
