// `known_at`, the axis of what had been recorded: an instant or a position of the log.
import { z } from 'zod';
import type { Database } from '../../db.ts';
import { maybeInstant } from '../../instant.ts';
import { checkReached } from '../../position.ts';
import { recordedBy } from '../log/index.ts';

/** `known_at` as it was asked: an instant, or a position of the log. */
export const KnownAtSchema = z
  .string()
  .transform((text, context) => {
    if (/^(0|[1-9][0-9]{0,15})$/.test(text) && Number.isSafeInteger(Number(text))) return Number(text);
    const instant = maybeInstant(text);
    if (instant !== null) return instant;
    context.addIssue({
      code: 'custom',
      message: 'known_at is an instant in UTC (RFC 3339, with Z or %2B00:00) or a position of the log',
    });
    return z.NEVER;
  })
  .meta({
    description:
      'Only what had been recorded by then: an instant, or a position of the log. The answer stays, but for an instant in the future, which sees all that is recorded so far',
    example: '2026-11-20T09:00:00Z',
  });

/**
 * `known_at` as a statement takes it. Before the read begins, as it waits until all that was recorded by a past instant can be seen.
 * Errors: `unavailable`.
 */
export async function knownAt(
  database: Database,
  tenant_id: string,
  known: number | string | null,
): Promise<{ known_position: number | null; known_at: string | null }> {
  return typeof known === 'string'
    ? { known_position: null, known_at: await recordedBy(database, tenant_id, known) }
    : { known_position: known, known_at: null };
}

/** Errors: `invalid_request` for a `known_at` or a `min_position` that the log has not reached. */
export function checkKnownPosition(
  known: number | string | null,
  head_position: number,
  min_position?: number,
): void {
  if (typeof known === 'number') checkReached('#/query/known_at', known, head_position);
  if (min_position !== undefined) checkReached('#/query/min_position', min_position, head_position);
}
