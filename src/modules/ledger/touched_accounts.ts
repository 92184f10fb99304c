// Which accounts an event of the log touches, for streams that follow an account.
import { z } from 'zod';
import type { TouchedAccount } from '../log/index.ts';

const AccountSchema = z.object({ account_id: z.string(), account_code: z.string() });
const EntriesSchema = z.object({
  entries: z.array(AccountSchema).optional(),
  /** of a hold that was voided, has expired or was captured for good */
  released: z.array(AccountSchema).optional(),
});
const AccountFactsSchema = z.object({ code: z.string() });

const transaction_event = /^ledger\.transaction_/;
const account_event = /^ledger\.account_/;

/** Whether events of a type can touch an account at all. */
export function touchesAccounts(type: string): boolean {
  return transaction_event.test(type) || account_event.test(type);
}

/** `data` is that of the event's type. */
export function touchedAccounts(event: { type: string; subject: string; data: unknown }): TouchedAccount[] {
  if (transaction_event.test(event.type)) {
    const { entries = [], released = [] } = EntriesSchema.parse(event.data);
    return [...entries, ...released].map(({ account_id, account_code }) => ({
      account_id,
      code: account_code,
    }));
  }
  if (account_event.test(event.type)) {
    return [{ account_id: event.subject, code: AccountFactsSchema.parse(event.data).code }];
  }
  return [];
}
