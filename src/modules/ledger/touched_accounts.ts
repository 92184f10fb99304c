// Which accounts an event of the log touches, for streams that follow an account.
import { z } from 'zod';
import type { TouchedAccount } from '../log/index.ts';

const AccountSchema = z.object({ account_id: z.string(), account_code: z.string() });
const EntriesSchema = z.object({
  entries: z.array(AccountSchema).optional(),
  /** of a hold that was voided or has expired */
  released: z.array(AccountSchema).optional(),
});
const AccountFactsSchema = z.object({ code: z.string() });

/** `data` is that of the event's type. */
export function touchedAccounts(event: { type: string; subject: string; data: unknown }): TouchedAccount[] {
  if (event.type.startsWith('ledger.transaction_')) {
    const { entries = [], released = [] } = EntriesSchema.parse(event.data);
    return [...entries, ...released];
  }
  if (event.type.startsWith('ledger.account_')) {
    return [{ account_id: event.subject, account_code: AccountFactsSchema.parse(event.data).code }];
  }
  return [];
}
