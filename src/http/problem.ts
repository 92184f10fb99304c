// How a failure becomes application/problem+json: problems as they are, everything else as internal_error.
import { Problem, problemDocument } from '../errors.ts';

export const problem_content_type = 'application/problem+json';

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
