// The statement of an account: its posted entries in the order of the log, each with the balance right after it.
import { z } from 'zod';
import { type Database, queries } from '../../db.ts';
import { Problem } from '../../errors.ts';
import { encodeId, idSchema, maybeDecodeId } from '../../id.ts';
import { InstantRangeSchema, InstantSchema } from '../../instant.ts';
import { AmountSchema } from '../../money.ts';
import type { PageRequest } from '../../page.ts';
import type { Found } from '../../reading.ts';
import { recordedBy } from '../log/index.ts';
import { AccountTypeSchema, isCode } from './account_schema.ts';
import { normalSide } from './accounts.ts';
import { CurrentReadingQuerySchema, PositionSchema } from './balance_schema.ts';
import { checkKnownPosition } from './known_at.ts';
import { DirectionSchema } from './transaction_schema.ts';

const sql = queries(import.meta.url, 'entry_list');

export const EntryListQuerySchema = CurrentReadingQuerySchema.extend({
  order: z
    .enum(['asc', 'desc'])
    .optional()
    .meta({ description: 'Oldest first (`asc`) or newest first. Default `desc`' }),
  effective_at: InstantRangeSchema.optional().meta({
    description: 'Business time, both ends inclusive. Chooses lines; their balances stay those of the log',
  }),
  recorded_at: InstantRangeSchema.optional(),
});
type EntryListQuery = z.infer<typeof EntryListQuerySchema>;

export const StatementLineSchema = z
  .object({
    transaction_id: idSchema('transaction'),
    position: PositionSchema,
    direction: DirectionSchema,
    amount: AmountSchema,
    balance: z.string().meta({
      description: 'Posted balance right after this line, in the normal direction',
      example: '10000',
    }),
    currency: z.string().meta({ example: 'EUR' }),
    scale: z.int(),
    effective_at: InstantSchema,
    recorded_at: InstantSchema,
    description: z.string().nullable(),
    reference: z.string().nullable(),
  })
  .meta({ id: 'StatementLine' });
type StatementLine = z.infer<typeof StatementLineSchema>;

/** where a page of a statement ended: position and number of the entry within its transaction */
export const EntryKeySchema = z.tuple([z.int().positive(), z.int32().nonnegative()]);

const EventTextSchema = z
  .string()
  .transform((text): unknown => JSON.parse(text))
  .pipe(z.looseObject({ description: z.string().nullish(), reference: z.string().nullish() }));

const LineSchema = z.object({
  account_type: AccountTypeSchema,
  currency: z.string(),
  scale: z.number(),
  position: z.number(),
  ordinal: z.number(),
  transaction_id: z.uuid(),
  direction: DirectionSchema,
  amount: z.string(),
  posted_debits: z.string(),
  posted_credits: z.string(),
  effective_at: z.string(),
  recorded_at: z.string(),
  data: EventTextSchema,
  head_position: z.number(),
});
type EntryLine = z.infer<typeof LineSchema>;
const NoLineSchema = z.object({ position: z.null(), head_position: z.number() });

/**
 * A page of an account's statement, by id or code. One statement on one snapshot; the last page costs what the first does.
 * Errors: `not_found`, `invalid_request`.
 */
export async function listEntries(
  database: Database,
  tenant_id: string,
  reference: string,
  query: EntryListQuery,
  page: PageRequest<z.infer<typeof EntryKeySchema>>,
): Promise<Found<EntryLine>> {
  const account_id = maybeDecodeId('account', reference);
  const [after_position, after_ordinal] = page.after ?? [null, null];
  const rows =
    account_id === null && !isCode(reference)
      ? []
      : await database.call(
          sql.entry_list,
          {
            tenant_id,
            account_id,
            code: account_id === null ? reference : null,
            after_position,
            after_ordinal,
            descending: query.order !== 'asc',
            effective_from: query.effective_at?.gte ?? null,
            effective_to: query.effective_at?.lte ?? null,
            recorded_from: query.recorded_at?.gte ?? null,
            recorded_to: await recordedBy(database, tenant_id, query.recorded_at?.lte ?? null),
            row_limit: page.row_limit,
          },
          z.union([NoLineSchema, LineSchema]),
        );
  const [first] = rows;
  if (first === undefined) throw new Problem('not_found', 'There is no such account');
  checkKnownPosition(null, first.head_position, query.min_position);
  return { position: first.head_position, rows: rows.flatMap((row) => (row.position === null ? [] : [row])) };
}

export function renderLine(line: EntryLine): StatementLine {
  const net = BigInt(line.posted_debits) - BigInt(line.posted_credits);
  return {
    transaction_id: encodeId('transaction', line.transaction_id),
    position: line.position,
    direction: line.direction,
    amount: line.amount,
    balance: `${normalSide(line.account_type) === 'debit' ? net : -net}`,
    currency: line.currency,
    scale: line.scale,
    effective_at: line.effective_at,
    recorded_at: line.recorded_at,
    description: line.data.description ?? null,
    reference: line.data.reference ?? null,
  };
}
