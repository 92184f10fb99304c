// Where in the log an account's entries are, for those who read the log by account.
import { z } from 'zod';
import { queries, type Tx } from '../../db.ts';
import { findAccount } from './accounts.ts';

const sql = queries(import.meta.url, 'account_position_list');

/**
 * The account's uuid, and the positions after `after` whose transactions have an entry on it, ascending, at most `row_limit`.
 * `account` is an id or a code. Errors: `not_found`.
 */
export async function listAccountPositions(
  tx: Tx,
  account: string,
  { after, row_limit }: { after: number; row_limit: number },
): Promise<{ account_id: string; positions: number[] }> {
  const { id } = await findAccount(tx, account);
  const rows = await tx.many(
    sql.account_position_list,
    { tenant_id: tx.actor.tenant_id, account_id: id, after, row_limit },
    z.object({ position: z.number() }),
  );
  return { account_id: id, positions: rows.map((row) => row.position) };
}
