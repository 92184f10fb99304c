// What a failure of a consumer is, to a log line and to the next attempt.
import pg from 'pg';
import { Problem } from '../../errors.ts';

/** What may stand in a log line: not the `detail` of a database error, which quotes rows. */
export function faultLine(error: unknown): { message: string; code?: string; stack?: string } {
  if (!(error instanceof Error)) return { message: String(error) };
  return {
    message: error.message,
    ...('code' in error ? { code: String(error.code) } : {}),
    ...(error.stack === undefined ? {} : { stack: error.stack }),
  };
}

/** Nobody's fault and over sooner or later: the database is away, or two transactions were in each other's way. */
export function isPassing(error: unknown): boolean {
  if (!(error instanceof Problem) || error.code !== 'unavailable') return false;
  // A slice that times out may do so each time.
  return !(error.cause instanceof pg.DatabaseError && error.cause.code === '57014');
}
