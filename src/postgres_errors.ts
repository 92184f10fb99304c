// What Postgres and its driver throw, in the words of this process.
import pg from 'pg';
import { Problem, type ProblemCode, problems } from './errors.ts';

const is_problem_code = (name: string): name is ProblemCode => Object.hasOwn(problems, name);

/**
 * SQLSTATEs that say nothing about the request, so that the same one may succeed later. The statement was rolled back.
 * Serialization failure, deadlock; 53 resources, such as too many connections; lock not to be had in time; canceled, by a timeout too.
 */
const passing = /^(40001|40P01|53|55P03|57014)/;
/** Class 08 connection, 57P0x shutdown and crash, 25P03 and 25P04 ended by a timeout of the session */
const disconnected = /^(08|57P0|25P0[34])/;

/** A constraint named like a problem is that problem; what passes by itself is `unavailable`; all else stays what it was. */
export function translate(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof Problem) return error;
  if (error instanceof pg.DatabaseError) {
    if (error.constraint !== undefined && is_problem_code(error.constraint)) {
      const { title, pointer } = problems[error.constraint];
      const errors = pointer === undefined ? [] : [{ pointer, code: error.constraint, detail: title }];
      const problem = new Problem(error.constraint, title, errors.length === 0 ? {} : { errors });
      problem.cause = error;
      return problem;
    }
    const { code } = error;
    const passes = code !== undefined && (passing.test(code) || disconnected.test(code));
    return passes ? unavailable(error) : error;
  }
  const code = 'code' in error ? String(error.code) : '';
  const lost =
    /^(ECONN|EPIPE|ENOENT|ETIMEDOUT)/.test(code) || /connection|timeout exceeded|socket/i.test(error.message);
  return lost ? unavailable(error) : error;
}

/** Whether a statement failed because it would have violated one of these constraints. */
export function violates(error: unknown, constraints: string[]): boolean {
  const cause = error instanceof Problem ? error.cause : error;
  return (
    cause instanceof pg.DatabaseError &&
    cause.constraint !== undefined &&
    constraints.includes(cause.constraint)
  );
}

/** Whether a statement was given up because somebody else held a lock for too long. */
export function waitedForLock(error: unknown): boolean {
  const cause = error instanceof Problem ? error.cause : error;
  return cause instanceof pg.DatabaseError && cause.code === '55P03';
}

function unavailable(cause: Error): Problem {
  const problem = new Problem(
    'unavailable',
    'The database is not reachable or did not finish in time; retry with the same Idempotency-Key',
    {
      headers: { 'Retry-After': '1' },
    },
  );
  problem.cause = cause;
  return problem;
}
