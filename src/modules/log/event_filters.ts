// What chooses events, in a list as in a stream, and the refusal of what could never match.
import { z } from 'zod';
import { Problem } from '../../errors.ts';
import type { EventKind } from '../../event.ts';

export const AfterSchema = z
  .string()
  .regex(/^(0|[1-9][0-9]{0,14})$/, 'a position is a whole number from 0')
  .transform(Number)
  .pipe(z.int().nonnegative())
  .optional();

export const TypesSchema = z
  .string()
  .min(1)
  .transform((types) => types.split(','))
  .optional()
  .meta({ description: 'Event types, separated by commas', example: 'ledger.transaction_posted' });

/** The kinds of events of these types; null means all. Errors: `invalid_request`. */
export function kindsOf(types: string[] | null, kinds: EventKind[]): EventKind[] {
  for (const type of types ?? []) {
    if (kinds.some((kind) => kind.type === type)) continue;
    const detail = 'there is no such event type';
    throw new Problem('invalid_request', `#/query/types: ${detail}`, {
      errors: [{ pointer: '#/query/types', code: 'event_type_unknown', detail }],
    });
  }
  return kinds.filter(({ type }) => types === null || types.includes(type));
}

/** That some of these events can touch an account. Errors: `invalid_request`. */
export function checkTouching(wanted: EventKind[], touchesAccounts: (type: string) => boolean): void {
  if (wanted.some(({ type }) => touchesAccounts(type))) return;
  throw matchesNothing('types', 'events of these types touch no account');
}

export function matchesNothing(parameter: string, detail: string): Problem {
  const pointer = `#/query/${parameter}`;
  return new Problem('invalid_request', `${pointer}: ${detail}`, {
    errors: [{ pointer, code: 'filter_matches_nothing', detail }],
  });
}
