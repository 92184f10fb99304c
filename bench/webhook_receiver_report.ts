// What the receiver of webhooks tells of itself.
import { z } from 'zod';

export const ReceiverReportSchema = z.object({
  port: z.number(),
  received: z.number(),
  first_at_ms: z.number(),
  last_at_ms: z.number(),
  /** from the commit, sorted */
  delays_ms: z.array(z.number()),
});
