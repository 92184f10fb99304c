// Work that runs in graphile-worker: a task name, the schema of its payload (ids only, never personal data) and a handler.
import type { z } from 'zod';
import type { Database } from './db.ts';
import type { Logger } from './log.ts';

export interface Job<Payload extends z.ZodType = z.ZodType> {
  /** `ledger.expire_holds` */
  name: string;
  description: string;
  payload: Payload;
  run: (
    context: { database: Database; logger: Logger; signal: AbortSignal },
    payload: z.infer<Payload>,
  ) => Promise<void>;
}
