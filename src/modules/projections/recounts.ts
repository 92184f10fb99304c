// Whether projections are what a count that shares nothing with them says, each on one snapshot.
import { z } from 'zod';
import { type Actor, type Database, queries } from '../../db.ts';
import { balances } from './balances.ts';
import { projections } from './manifest.ts';
import { findReached } from './positions.ts';
import type { Projection } from './projection.ts';

const sql = queries(import.meta.url, 'recount_allow_time');

const RowSchema = z.object({
  what: z.string(),
  expected: z.string().nullable(),
  found: z.string().nullable(),
});
type Row = z.infer<typeof RowSchema>;

interface Recount {
  /** that the projection had reached */
  position: number;
  /** each of them, some of each kind when there are many */
  differences: Row[];
}

/** Reads every entry. */
export async function recountProjection(
  database: Database,
  actor: Actor,
  projection: Projection,
): Promise<Recount> {
  return database.readLong(actor, async (tx) => {
    await tx.run(sql.recount_allow_time, {});
    const { position } = await findReached(tx, projection.name);
    return {
      position,
      differences: await tx.many(projection.recount, { tenant_id: actor.tenant_id }, RowSchema),
    };
  });
}

/** What the recount of a ledger leaves out: that is the one of `balances`. */
const others = projections.filter((each) => each !== balances);

/** the tables of these */
export const recounted_tables = others.flatMap(({ tables }) => tables);

interface TableDifference extends Row {
  table: string;
}

/** All but `balances`, one after the other, so that they take one connection; each at its own position. */
export async function recountOthers(
  database: Database,
  actor: Actor,
): Promise<{ projection: string; position: number; differences: TableDifference[] }[]> {
  const found = [];
  for (const projection of others) {
    const { position, differences } = await recountProjection(database, actor, projection);
    found.push({
      projection: projection.name,
      position,
      differences: differences.map((each) => byTable(projection, each)),
    });
  }
  return found;
}

function byTable({ name, tables }: Projection, { what, ...values }: Row): TableDifference {
  const table = tables.find((each) => what.startsWith(`${each} `));
  if (table === undefined) throw new Error(`the recount of ${name} names none of its tables: ${what}`);
  return { table, what: what.slice(table.length + 1), ...values };
}
