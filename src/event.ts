// What a module says in the tenant's log: a dotted type in the past tense and the schema of its data.
import type { z } from 'zod';

export interface EventKind {
  /** `ledger.transaction_posted` */
  type: string;
  description: string;
  data: z.ZodType;
}
