// What a schema has refused, as errors with pointers: of a request, or of an item of one.
import type { z } from 'zod';
import { type FieldError, Problem, type ProblemCode, problems } from './errors.ts';

/** more than a person would read, fewer than would make the answer a burden */
export const max_field_errors = 100;
/** The same of an item, of which an answer may have ten thousand. */
export const max_item_errors = 10;

/** A part of a request that its schema has refused. */
export interface Misshapen {
  /** of the part: `#`, `#/query` or `#/path` */
  pointer: string;
  given: unknown;
  error: z.ZodError;
}

/** `invalid_request` with one error per field, or the problem that a refinement asks for. */
export function shapeProblem(parts: Misshapen[]): Problem {
  const faults: FieldError[] = [];
  for (const { pointer, given, error } of parts) {
    for (const issue of error.issues) {
      const code = askedFor(issue);
      if (code !== null) return new Problem(code, issue.message);
      addFaults(issue, pointer, given, faults);
    }
  }
  const errors = faults.slice(0, max_field_errors);
  const [first] = errors;
  const more = faults.length > 1 ? ` (and ${faults.length - 1} more)` : '';
  return new Problem('invalid_request', `${first?.pointer}: ${first?.detail}${more}`, { errors });
}

/** The same of an item of a list that is judged item by item; pointers begin at the item. */
export function itemProblem(given: unknown, error: z.ZodError): Problem {
  const errors: FieldError[] = [];
  for (const issue of error.issues) {
    if (errors.length >= max_item_errors) break;
    const code = askedFor(issue);
    if (code !== null) return new Problem(code, issue.message);
    addFaults(issue, '#', given, errors);
  }
  return new Problem('invalid_request', 'The item does not have the documented shape', {
    errors: errors.slice(0, max_item_errors),
  });
}

/** `~` and `/` in a name, as RFC 6901 writes them. */
export function pointerSegment(name: PropertyKey): string {
  return String(name).replaceAll('~', '~0').replaceAll('/', '~1');
}

/** The problem that a refinement asks for in place of `invalid_request`. */
function askedFor(issue: z.core.$ZodIssue): ProblemCode | null {
  const code = issue.code === 'custom' ? issue.params?.problem : undefined;
  return isProblemCode(code) ? code : null;
}

function isProblemCode(code: unknown): code is ProblemCode {
  return typeof code === 'string' && Object.hasOwn(problems, code);
}

function addFaults(issue: z.core.$ZodIssue, root: string, given: unknown, faults: FieldError[]): void {
  const pointer = [root, ...issue.path.map(pointerSegment)].join('/');
  const value = issue.path.reduce(memberOf, given);
  if (value === undefined && issue.code !== 'custom') {
    faults.push({ pointer, code: 'required', detail: 'the field is required' });
    return;
  }
  switch (issue.code) {
    case 'unrecognized_keys':
      for (const name of issue.keys) {
        faults.push({
          pointer: `${pointer}/${pointerSegment(name)}`,
          code: 'unknown_field',
          detail: 'there is no such field',
        });
      }
      return;
    case 'invalid_union': {
      // The member that complains least is the one that was meant.
      const [closest] = issue.errors
        .filter((errors) => errors.length > 0)
        .sort((a, b) => depthOf(b) - depthOf(a) || a.length - b.length);
      if (closest === undefined) break;
      for (const inner of closest) addFaults(inner, pointer, value, faults);
      return;
    }
    case 'invalid_key':
    case 'invalid_element':
      for (const inner of issue.issues) addFaults({ ...inner, path: [] }, pointer, value, faults);
      return;
  }
  const own_code = issue.code === 'custom' ? issue.params?.code : undefined;
  faults.push({
    pointer,
    code: typeof own_code === 'string' ? own_code : issue.code === 'custom' ? 'invalid_value' : issue.code,
    detail: issue.message,
  });
}

function memberOf(value: unknown, name: PropertyKey): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
  return Reflect.get(value, name);
}

function depthOf(issues: z.core.$ZodIssue[]): number {
  return Math.max(...issues.map((issue) => issue.path.length));
}
