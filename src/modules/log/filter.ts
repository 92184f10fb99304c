// What a stream's client wants to hear of. Each part that is given must hold.
import type { Frame } from './frame.ts';

export interface Filter {
  /** null means all; the same below */
  types: ReadonlySet<string> | null;
  /** uuid */
  subject_id: string | null;
  /** TypeIDs; one of them is touched */
  accounts: ReadonlySet<string> | null;
  /** the code of an account that is touched begins so */
  account_prefix: string | null;
}

export const no_filter: Filter = { types: null, subject_id: null, accounts: null, account_prefix: null };

/** The same text for filters that let the same through. */
export function filterKey({ types, subject_id, accounts, account_prefix }: Filter): string {
  const sorted = (values: ReadonlySet<string> | null) => (values === null ? null : [...values].sort());
  return JSON.stringify([sorted(types), subject_id, sorted(accounts), account_prefix]);
}

export function matches(filter: Filter, frame: Frame): boolean {
  const { types, subject_id, accounts, account_prefix } = filter;
  if (types !== null && !types.has(frame.type)) return false;
  if (subject_id !== null && subject_id !== frame.subject_id) return false;
  if (accounts !== null && !frame.touched.some(({ account_id }) => accounts.has(account_id))) return false;
  if (account_prefix === null) return true;
  return frame.touched.some(({ code }) => code.startsWith(account_prefix));
}
