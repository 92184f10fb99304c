// What the lists of all projections have in common: they wait for a position if asked to, and read what the projection says on one snapshot.
import type { z } from 'zod';
import type { Database, Tx } from '../../db.ts';
import type { ProblemCode } from '../../errors.ts';
import type { PageRequest } from '../../page.ts';
import { type Reading, type ReadingQuerySchema, reading_problems, replyReading } from '../../reading.ts';
import type { Input, Reply } from '../../route.ts';
import { findReached, waitForPosition } from './positions.ts';

export const projection_problems: ProblemCode[] = [...reading_problems, 'projection_behind'];

interface ProjectionReading<Key extends z.ZodType, Row, Item extends Record<string, unknown>>
  extends Omit<Reading<Key, Row, Item>, 'read'> {
  projection: string;
  read: (tx: Tx, version: number, page: PageRequest<z.output<Key>>) => Promise<Row[]>;
}

/** Errors: those of `replyReading`, `invalid_request` for a position that the log has not reached, `projection_behind`. */
export async function replyProjection<Key extends z.ZodType, Row, Item extends Record<string, unknown>>(
  database: Database,
  input: Pick<Input, 'principal' | 'url' | 'headers'> & { query: z.infer<typeof ReadingQuerySchema> },
  reading: ProjectionReading<Key, Row, Item>,
): Promise<Reply> {
  const { principal, query } = input;
  return replyReading(input, {
    ...reading,
    async read(page) {
      await waitForPosition(database, principal.tenant_id, reading.projection, query.min_position);
      return database.read(principal, async (tx) => {
        const { position, version } = await findReached(tx, reading.projection);
        return { position, rows: await reading.read(tx, version, page) };
      });
    },
  });
}
