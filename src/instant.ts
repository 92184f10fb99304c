// Instants on the wire: RFC 3339 in UTC, microseconds kept, in one canonical text (`Z`, no trailing zeros), as Postgres prints them.
// `+00:00` is read as `Z`, for that is what Python's isoformat() writes; another offset would be a time that we answer differently.
import { z } from 'zod';

const pattern = /^(?!0000)(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?(?:Z|\+00:00)$/;

/** Canonical text of an RFC 3339 instant in UTC; null when it is none, such as 30 February or a fourth hour digit. */
export function maybeInstant(text: string): string | null {
  const parts = pattern.exec(text);
  if (parts === null) return null;
  const [, seconds, fraction = ''] = parts;
  const milliseconds = Date.parse(`${seconds}Z`);
  if (Number.isNaN(milliseconds) || new Date(milliseconds).toISOString().slice(0, 19) !== seconds)
    return null;
  const kept = fraction.replace(/0+$/, '');
  return kept === '' ? `${seconds}Z` : `${seconds}.${kept}Z`;
}

/** Accepts an instant and answers its canonical text. */
export const InstantSchema = z
  .string()
  .transform((text, context) => {
    const instant = maybeInstant(text);
    if (instant !== null) return instant;
    context.addIssue({
      code: 'custom',
      message:
        'an instant is RFC 3339 in UTC, Z or +00:00 (in a URL %2B00:00), with at most microseconds, such as 2026-11-20T09:00:00.123456Z',
    });
    return z.NEVER;
  })
  .meta({
    description: 'RFC 3339 in UTC, at most microseconds; answered with `Z`, taken with `+00:00` as well',
    example: '2026-11-20T09:00:00Z',
  });

/** The canonical instant some whole seconds later, microseconds kept. */
export function addSeconds(instant: string, seconds: number): string {
  const [whole = '', fraction] = instant.slice(0, -1).split('.');
  const later = new Date(Date.parse(`${whole}Z`) + seconds * 1_000).toISOString().slice(0, 19);
  return fraction === undefined ? `${later}Z` : `${later}.${fraction}Z`;
}

/** Negative, zero or positive, as `a` is before, at or after `b`. Both canonical. */
export function compareInstants(a: string, b: string): number {
  const [first, second] = [padded(a), padded(b)];
  return first < second ? -1 : first > second ? 1 : 0;
}

/** `2026-11-20T09:00:00.5Z` → `2026-11-20T09:00:00.500000`, whose order as text is the order in time. */
function padded(instant: string): string {
  const [whole = '', fraction = ''] = instant.slice(0, -1).split('.');
  return `${whole}.${fraction.padEnd(6, '0')}`;
}

/** `name[gte]=…&name[lte]=…` of a list; both ends are inclusive. */
export const InstantRangeSchema = z.strictObject({
  gte: InstantSchema.optional(),
  lte: InstantSchema.optional(),
});
