// What a module says in the tenant's log: a dotted type in the past tense and the schema of its data.
import type { z } from 'zod';
import type { IdKind } from './id.ts';

export interface EventKind {
  /** `ledger.transaction_posted` */
  type: string;
  /** what its subject is */
  subject: IdKind;
  description: string;
  data: z.ZodType;
}
