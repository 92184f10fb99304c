// What the ledger says in the tenant's log about accounts: the account as it is from then on.
import type { EventKind } from '../../event.ts';
import { AccountSchema } from './account_schema.ts';

const data = AccountSchema.omit({ id: true, created_at: true }).meta({ id: 'AccountFacts' });

export const account_events: EventKind[] = [
  { type: 'ledger.account_created', subject: 'account', description: 'An account was opened', data },
  {
    type: 'ledger.account_updated',
    subject: 'account',
    description: 'Its name, limits or metadata changed',
    data,
  },
  {
    type: 'ledger.account_closed',
    subject: 'account',
    description: 'It refuses new postings, holds and captures',
    data,
  },
  { type: 'ledger.account_reopened', subject: 'account', description: 'It accepts postings again', data },
];
