// What the ledger says in the tenant's log about transactions. The subject is the transaction.
import { z } from 'zod';
import type { EventKind } from '../../event.ts';
import { EntrySchema, TransactionFactsSchema } from './transaction_schema.ts';

const endedSchema = (status: 'voided' | 'expired') =>
  z.object({
    status: z.literal(status),
    released: z.array(EntrySchema).meta({ description: 'What was still held' }),
  });

export const transaction_events: EventKind[] = [
  {
    type: 'ledger.transaction_posted',
    subject: 'transaction',
    description:
      'Money moved: a posting, a capture (`captures`) or a reversal (`reverses`). A final capture gives back the rest of its hold (`released`)',
    data: TransactionFactsSchema,
  },
  {
    type: 'ledger.transaction_held',
    subject: 'transaction',
    description: 'Money is held until it is captured, voided or expires',
    data: TransactionFactsSchema,
  },
  {
    type: 'ledger.transaction_voided',
    subject: 'transaction',
    description: 'What was left of a hold was given back',
    data: endedSchema('voided').meta({ id: 'TransactionVoided' }),
  },
  {
    type: 'ledger.transaction_expired',
    subject: 'transaction',
    description: 'A hold has ended by itself; it stopped counting at its `expires_at`',
    data: endedSchema('expired').meta({ id: 'TransactionExpired' }),
  },
];
