// The database of one test file: a clone of the run's template, with leak checks when the file is done.
// Importing this module makes the clone; a file that does not need a database does not import it.
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { afterAll, inject, onTestFinished } from 'vitest';
import { z } from 'zod';
import { Database } from '../../src/db.ts';
import { createLogger } from '../../src/log.ts';
import { clusterUrl, type Role } from './cluster.ts';
import { template_database } from './template.ts';
import { waitFor } from './wait.ts';

const name = `test_${randomBytes(6).toString('hex')}`;
const directory = inject('cluster_directory');

/** Connection string of this file's database. */
export function databaseUrl(role: Role): string {
  return clusterUrl(directory, role, name);
}

const administrator = new pg.Client({ connectionString: clusterUrl(directory, 'postgres', 'postgres') });
await administrator.connect();
// Copying its files takes half of what writing them to the WAL does.
const create = `create database ${name} template ${template_database} owner lattice_owner strategy file_copy`;
// Two clones at once collide on the template; whoever comes second tries again.
await waitFor('the template is free', () =>
  administrator.query(create).then(
    () => true,
    (error: unknown) => {
      if (error instanceof pg.DatabaseError && error.code === '55006') return false;
      throw error;
    },
  ),
);

/** As the process has it: `lattice_app`. */
export const database = new Database({
  connection_string: databaseUrl('lattice_app'),
  size: 8,
  application_name: 'lattice test',
  logger: createLogger('warn'),
});

/** Text of a query as the superuser, past every wall: for looking, and for arranging what no verb can. */
export async function asSuperuser<Row extends z.ZodType>(
  row: Row,
  text: string,
  values: unknown[] = [],
): Promise<z.infer<Row>[]> {
  return asRole('postgres', row, text, values);
}

/** One statement on a connection of its own, as any role; within a tenant when one is given. */
export async function asRole<Row extends z.ZodType>(
  role: Role,
  row: Row,
  text: string,
  values: unknown[] = [],
  /** uuid */
  tenant_id = '',
): Promise<z.infer<Row>[]> {
  const options = `-c app.tenant_id=${tenant_id}`;
  const client = new pg.Client({ connectionString: databaseUrl(role), options });
  await client.connect();
  try {
    const result = await client.query(text, values);
    return result.rows.map((each) => row.parse(each));
  } finally {
    await client.end();
  }
}

/** A database that has never been migrated, for one test; answers its connection strings. */
export async function anEmptyDatabase(): Promise<(role: Role) => string> {
  const empty = `empty_${randomBytes(6).toString('hex')}`;
  await asSuperuser(z.unknown(), `create database ${empty} owner lattice_owner`);
  onTestFinished(async () => {
    await asSuperuser(z.unknown(), `drop database ${empty}`);
  });
  return (role) => clusterUrl(directory, role, empty);
}

const endings: (() => Promise<unknown>)[] = [];

/** Runs when the file is done, the latest first, before the leak checks; wherever it is called, be it in a hook or a test. */
export function atEnd(ending: () => Promise<unknown>): void {
  endings.push(ending);
}

const LeakSchema = z.object({ leak: z.string() });

async function leaks(text: string): Promise<string[]> {
  const result = await administrator.query(text, [name]);
  return result.rows.map((row) => LeakSchema.parse(row).leak);
}

// Registered first, so it runs last: what the file's own hooks close is closed by then.
afterAll(async () => {
  for (const ending of endings.toReversed()) await ending();
  const open = (whose: string) => `
    select format('a transaction is still open (%s): %s', state, query) as leak
    from pg_stat_activity where datname = $1 and state like 'idle in transaction%' and ${whose}
    union all
    select format('%s holds the advisory lock %s %s', application_name, classid, objid)
    from pg_locks join pg_stat_activity using (pid)
    where locktype = 'advisory' and datname = $1 and state <> 'active' and ${whose}`;
  const left_open = [
    ...(await leaks(open("application_name <> 'lattice'"))),
    // of a process that was killed: its backends outlive it by a moment
    ...(await waitForNone(open("application_name = 'lattice'"))),
  ];
  await database.end();
  const connected = await waitForNone(`
    select format('a connection is still open: %s, last did: %s', application_name, query) as leak
    from pg_stat_activity where datname = $1`);
  await administrator.query(`drop database ${name} with (force)`);
  await administrator.end();
  if (left_open.length + connected.length > 0) throw new Error([...left_open, ...connected].join('\n'));
});

/** A backend outlives its client by a moment. */
async function waitForNone(text: string): Promise<string[]> {
  let found: string[] = [];
  const deadline = performance.now() + 10_000;
  await waitFor('nothing is left open', async () => {
    found = await leaks(text);
    return found.length === 0 || performance.now() > deadline;
  });
  return found;
}
