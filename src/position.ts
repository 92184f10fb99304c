// Positions of a tenant's log that a client asks for.
import { z } from 'zod';
import { Problem } from './errors.ts';

/** What lies beyond the head is a mistake, or was told before the log was restored from an older copy. Errors: `invalid_request`. */
export function checkReached(pointer: string, position: number, head_position: number): void {
  if (position <= head_position) return;
  const detail = `the log has come to position ${head_position}`;
  throw new Problem('invalid_request', `There is no position ${position} yet: ${detail}`, {
    errors: [{ pointer, code: 'position_ahead', detail }],
  });
}

export const MinPositionSchema = z
  .string()
  .regex(/^(0|[1-9][0-9]{0,14})$/, 'a position is a whole number')
  .transform(Number)
  .pipe(z.int().min(0))
  .optional()
  .meta({
    description:
      'Waits up to 5 s until everything up to this position counts, such as the `position` of a transaction that was just answered',
    example: 8812,
  });
