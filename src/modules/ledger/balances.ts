// Balances: always exact, never stored by whoever posts. On two time axes: what was in effect, and what was known.
import { z } from 'zod';
import { type Database, queries } from '../../db.ts';
import { Problem } from '../../errors.ts';
import { encodeId, maybeDecodeId } from '../../id.ts';
import { AccountTypeSchema, isCode } from './account_schema.ts';
import { normalSide } from './accounts.ts';
import type { Balance, BalanceQuery } from './balance_schema.ts';
import { checkKnownPosition, knownAt } from './known_at.ts';

const sql = queries(import.meta.url, 'balance_find');

const SumsSchema = z.object({
  posted_debits: z.string(),
  posted_credits: z.string(),
  pending_debits: z.string(),
  pending_credits: z.string(),
});
/** What was debited and credited, in minor units as text. */
export type Sums = z.infer<typeof SumsSchema>;

const RowSchema = SumsSchema.extend({
  account_id: z.uuid(),
  type: AccountTypeSchema,
  currency: z.string(),
  scale: z.number(),
  head_position: z.number(),
  position: z.number(),
});

/** Posted, pending and available in the direction in which the account grows. */
export function renderSums(
  sums: Sums,
  normal_side: 'debit' | 'credit',
): Pick<Balance, 'posted' | 'pending' | 'available'> {
  const debits = BigInt(sums.posted_debits);
  const credits = BigInt(sums.posted_credits);
  const is_debit = normal_side === 'debit';
  const balance = is_debit ? debits - credits : credits - debits;
  const out = is_debit ? sums.pending_credits : sums.pending_debits;
  return {
    posted: { debits: `${debits}`, credits: `${credits}`, balance: `${balance}` },
    pending: { out, in: is_debit ? sums.pending_debits : sums.pending_credits },
    available: `${balance - BigInt(out)}`,
  };
}

/**
 * The exact balance of an account, by id or code. One statement on one snapshot.
 * Errors: `not_found`, `invalid_request` for a position that the log has not reached.
 */
export async function findBalance(
  database: Database,
  tenant_id: string,
  reference: string,
  query: BalanceQuery,
): Promise<Balance> {
  const account_id = maybeDecodeId('account', reference);
  const known = query.known_at ?? null;
  const [row] =
    account_id === null && !isCode(reference)
      ? []
      : await database.call(
          sql.balance_find,
          {
            tenant_id,
            account_id,
            code: account_id === null ? reference : null,
            ...(await knownAt(database, tenant_id, known)),
            as_of: query.as_of ?? null,
          },
          RowSchema,
        );
  if (row === undefined) throw new Problem('not_found', 'There is no such account');
  checkKnownPosition(known, row.head_position);
  return {
    account_id: encodeId('account', row.account_id),
    currency: row.currency,
    scale: row.scale,
    ...renderSums(row, normalSide(row.type)),
    position: row.position,
    as_of: query.as_of ?? null,
    known_at: known,
  };
}
