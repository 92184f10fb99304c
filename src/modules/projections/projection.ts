// What a projection is: tables that a SQL function carries forward along the log, and the recount that says what they ought to hold.
import type { Query } from '../../db.ts';
import { Problem } from '../../errors.ts';

export interface Projection {
  /** `balances`; also the name of the consumer that carries it forward, so it never changes */
  name: string;
  description: string;
  /** in the schema `projection`, all of them; their rows at a position are the same whatever the slices that led there */
  tables: [string, ...string[]];
  /** about how long what is appended may wait until it is applied */
  within_ms: number;
  /** One slice: a SQL function of `$tenant_id`, `$consumer` and `$limit` that begins with log.begin_slice and ends with log.end_slice. */
  apply: Query;
  /**
   * Projections of the same entries, which go along in one pass over them while they stand where this one stands. `apply` is one slice for all of
   * them, and also answers who went along.
   */
  takes_along?: { names: string[]; apply: Query };
  /**
   * What differs from a count that shares nothing with `apply`, at the position that the projection of `$tenant_id` has reached: rows of
   * `what`, which begins with the table, `expected` and `found`, as text, of which a thousand are enough. None is right.
   */
  recount: Query;
  /**
   * Its newest state in short, for those who follow it: one row of `$tenant_id` and `$version` with `data`, the text of a JSON array. It is read
   * ten times a second at most, so it is short, and found by an index, however much the projection holds.
   */
  state: Query;
}

/** Errors: `not_found`. */
export function findProjection(projections: Projection[], name: string, pointer: string): Projection {
  const found = projections.find((each) => each.name === name);
  if (found !== undefined) return found;
  const detail = 'there is no such projection';
  throw new Problem('not_found', detail, { errors: [{ pointer, code: 'not_found', detail }] });
}
