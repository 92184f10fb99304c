// How a failure becomes application/problem+json: problems as they are, shape errors with pointers, everything else as internal_error.
import type { z } from 'zod';
import { type FieldError, Problem, type ProblemCode, problemDocument, problems } from '../errors.ts';
import { pointerSegment } from './json.ts';

export const problem_content_type = 'application/problem+json';

/** more than a person would read, fewer than would make the answer a burden */
const max_field_errors = 100;

/** Statuses of refusals that depend on the ledger's state when they were evaluated: the answer is kept for the key. */
export function isSticky(error: unknown): error is Problem {
  return (
    error instanceof Problem &&
    (error.status === 409 || error.status === 422) &&
    error.code !== 'idempotency_key_in_use' &&
    error.code !== 'idempotency_key_reused'
  );
}

/** Refusals of a request whose effect was not looked at in the ledger: 400, 404, 413, 415. Nothing of them is kept. */
export function isBeforeEvaluation(error: unknown): boolean {
  return error instanceof Problem && [400, 404, 413, 415].includes(error.status);
}

/** The problem that a client sees for whatever was thrown. */
export function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  return new Problem('internal_error', 'It has been recorded; quote the request_id when you ask about it');
}

/** The text of a problem, the same bytes whether sent at once or stored and sent again. */
export function renderProblem(problem: Problem, instance: string, request_id: string): string {
  return JSON.stringify(problemDocument(problem, instance, request_id));
}

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
      const code = issue.code === 'custom' ? issue.params?.problem : undefined;
      if (isProblemCode(code)) return new Problem(code, issue.message);
      addFaults(issue, pointer, given, faults);
    }
  }
  const errors = faults.slice(0, max_field_errors);
  const [first] = errors;
  const more = faults.length > 1 ? ` (and ${faults.length - 1} more)` : '';
  return new Problem('invalid_request', `${first?.pointer}: ${first?.detail}${more}`, { errors });
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
