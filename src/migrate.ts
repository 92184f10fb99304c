// Brings a database to the schema of this version: sql/migrations in order and once, sql/functions whenever they differ.
// Runs as the owner of the tables; processes that migrate at the same time wait for each other.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Logger as QueueLogger, runMigrations } from 'graphile-worker';
import pg from 'pg';
import { z } from 'zod';
import { type Query, queries } from './db.ts';
import type { Logger } from './log.ts';

const sql = queries(
  import.meta.url,
  'schema_create',
  'migration_table_create',
  'function_table_create',
  'schema_grant',
  'table_grant',
  'schema_exists',
  'lock_acquire',
  'migration_list',
  'migration_insert',
  'function_list',
  'function_upsert',
  'function_delete',
  'overload_list',
  'partitions_create',
  'queue_exists',
  'queue_revision',
  'queue_open',
);

const sql_directory = join(import.meta.dirname, '..', 'sql');
const months_ahead = 12;
/** The last migration of the graphile-worker that this version runs on. */
export const queue_revision = 20;
/** The schemas whose functions others call while they are created; the rest follows by name. */
const schema_order = ['log', 'tenants', 'access', 'ledger', 'projection', 'proofs'];
/** A migration that waits for a lock makes every later statement on that table wait behind it, so it gives up early. */
const ddl_lock_timeout_seconds = 5;
/** Another process may be migrating: that may take a while, but not for ever. */
const migrate_lock_timeout_seconds = 120;

const StampSchema = z.object({ name: z.string(), checksum: z.string() });
const OverloadSchema = z.object({ signature: z.string(), version: z.string(), reads_only: z.boolean() });

interface SqlFile {
  /** `0001_log.sql`, `log/append_event.sql` */
  name: string;
  text: string;
  /** sha256 of the text, line ends made equal, in hex */
  checksum: string;
}

/** What a run of `migrate` changed. */
export interface Migrated {
  applied: string[];
  functions: string[];
  partitions: number;
}

/** Applies what is missing. Each migration is one transaction; all functions together are one. */
export async function migrate(owner_url: string, logger: Logger): Promise<Migrated> {
  return withClient(owner_url, async (client) => {
    await client.query(`set lock_timeout = '${migrate_lock_timeout_seconds}s'`);
    await rows(client, sql.lock_acquire, {});
    await client.query(`set lock_timeout = '${ddl_lock_timeout_seconds}s'`);
    await createStampTables(client);
    await migrateQueue(owner_url, logger);
    const applied = await applyMigrations(client, logger);
    const functions = await applyFunctions(client, logger);
    await rows(client, sql.queue_open, {});
    const [partitions] = await rows(client, sql.partitions_create, { months_ahead });
    return { applied, functions, partitions: z.object({ created: z.number() }).parse(partitions).created };
  });
}

/**
 * What the database lacks of this version, one line each; empty when it is current. Needs no more than the rights of `lattice_app`.
 * A database that is ahead (a newer version has migrated it) is current: migrations expand before they contract.
 */
export async function schemaDifferences(database_url: string): Promise<string[]> {
  return withClient(database_url, async (client) => {
    const [found] = await rows(client, sql.schema_exists, {});
    if (!z.object({ exists: z.boolean() }).parse(found).exists)
      return ['the database has never been migrated'];
    const migrations = await stamps(client, sql.migration_list);
    const files = migrationFiles();
    const differences = files.flatMap((file) => {
      const checksum = migrations.get(file.name);
      if (checksum === undefined) return [`${file.name} is not applied`];
      return checksum === file.checksum ? [] : [`${file.name} was applied with another content`];
    });
    differences.push(...(await queueDifferences(client)));
    const is_ahead = [...migrations.keys()].some((name) => !files.some((file) => file.name === name));
    if (is_ahead) return differences;
    const functions = await stamps(client, sql.function_list);
    return differences.concat(
      functionFiles().flatMap((file) =>
        functions.get(file.name) === file.checksum ? [] : [`the function ${file.name} differs`],
      ),
    );
  });
}

/** The job queue's own schema, by its own migrations, over connections of its own. */
async function migrateQueue(owner_url: string, logger: Logger): Promise<void> {
  await runMigrations({
    connectionString: owner_url,
    schema: 'graphile_worker',
    logger: new QueueLogger(() => (level, message) => {
      if (level === 'error') logger.error({ queue: message });
      else logger.debug({ queue: message });
    }),
  });
}

async function queueDifferences(client: pg.Client): Promise<string[]> {
  const [found] = await rows(client, sql.queue_exists, {});
  if (!z.object({ exists: z.boolean() }).parse(found).exists) return ['the job queue is not there'];
  const [last] = await rows(client, sql.queue_revision, {});
  const { revision } = z.object({ revision: z.number() }).parse(last);
  return revision < queue_revision ? [`the job queue is at ${revision}, not ${queue_revision}`] : [];
}

async function createStampTables(client: pg.Client): Promise<void> {
  const [found] = await rows(client, sql.schema_exists, {});
  if (z.object({ exists: z.boolean() }).parse(found).exists) return;
  await inTransaction(client, async () => {
    for (const step of [
      sql.schema_create,
      sql.migration_table_create,
      sql.function_table_create,
      sql.schema_grant,
      sql.table_grant,
    ]) {
      await rows(client, step, {});
    }
  });
}

async function applyMigrations(client: pg.Client, logger: Logger): Promise<string[]> {
  const done = await stamps(client, sql.migration_list);
  const files = migrationFiles();
  for (const [name, checksum] of done) {
    const file = files.find((each) => each.name === name);
    if (file === undefined) {
      throw new Error(
        `the database has the migration ${name}, which this version does not know: run a newer version of Lattice`,
      );
    }
    if (file.checksum !== checksum) {
      throw new Error(
        `${name} was applied with another content: restore the file and put the change into a new migration`,
      );
    }
  }
  const applied: string[] = [];
  for (const file of files.filter((each) => !done.has(each.name))) {
    const later = [...done.keys()].find((name) => name > file.name);
    if (later !== undefined) {
      throw new Error(
        `${file.name} comes before ${later}, which is already applied: give it a higher number`,
      );
    }
    await inTransaction(client, async () => {
      await client.query(file.text).catch((error: unknown) => {
        throw explained(file, error);
      });
      await rows(client, sql.migration_insert, { name: file.name, checksum: file.checksum });
    });
    logger.info({ migration: file.name }, 'migration applied');
    applied.push(file.name);
  }
  return applied;
}

/** Functions that use one another through `begin atomic` cannot be put in a fixed order, so what fails for want of another comes again. */
async function applyFunctions(client: pg.Client, logger: Logger): Promise<string[]> {
  const done = await stamps(client, sql.function_list);
  const files = functionFiles();
  const changed = files.filter((file) => done.get(file.name) !== file.checksum);
  const gone = [...done.keys()].filter((name) => !files.some((file) => file.name === name));
  if (changed.length === 0 && gone.length === 0) return [];
  await inTransaction(client, async () => {
    await client.query('set local check_function_bodies = off');
    let waiting = changed;
    while (waiting.length > 0) {
      const missing: { file: SqlFile; error: unknown }[] = [];
      for (const file of waiting) {
        const error = await applyFunction(client, file);
        if (error !== null) missing.push({ file, error });
      }
      const [first] = missing;
      if (first !== undefined && missing.length === waiting.length) throw explained(first.file, first.error);
      waiting = missing.map(({ file }) => file);
    }
    for (const name of gone) {
      for (const overload of await overloads(client, name)) {
        await client.query(`drop function ${overload.signature}`);
      }
      await rows(client, sql.function_delete, { name });
    }
  });
  for (const file of changed) logger.debug({ function: file.name }, 'function applied');
  return changed.map((file) => file.name).concat(gone);
}

/** Null when it is there; the error when it lacks a function that is still to come. Older signatures of the same function go. */
async function applyFunction(client: pg.Client, file: SqlFile): Promise<unknown> {
  const before = await overloads(client, file.name);
  await client.query('savepoint one_function');
  try {
    await createOrReplace(client, file, before);
  } catch (error) {
    if (!(error instanceof pg.DatabaseError) || error.code !== '42883') throw explained(file, error);
    await client.query('rollback to savepoint one_function');
    return error;
  }
  for (const overload of await overloads(client, file.name)) {
    const is_stale = before.some(
      (each) => each.signature === overload.signature && each.version === overload.version,
    );
    if (is_stale) {
      await client.query(`drop function ${overload.signature}`);
    } else {
      const readers = overload.reads_only ? 'lattice_app, lattice_read' : 'lattice_app';
      await client.query(
        `revoke all on function ${overload.signature} from public; grant execute on function ${overload.signature} to ${readers}`,
      );
    }
  }
  await rows(client, sql.function_upsert, { name: file.name, checksum: file.checksum });
  await client.query('release savepoint one_function');
  return null;
}

/** Postgres cannot replace a function by one with other results or parameter names (42P13): then the old one goes first. */
async function createOrReplace(
  client: pg.Client,
  file: SqlFile,
  before: z.infer<typeof OverloadSchema>[],
): Promise<void> {
  await client.query('savepoint replace_function');
  try {
    await client.query(file.text);
  } catch (error) {
    if (!(error instanceof pg.DatabaseError) || error.code !== '42P13') throw error;
    await client.query('rollback to savepoint replace_function');
    for (const overload of before) await client.query(`drop function ${overload.signature}`);
    await client.query(file.text);
  }
  await client.query('release savepoint replace_function');
}

async function overloads(client: pg.Client, name: string) {
  const [schema, file_name] = name.split('/');
  const found = await rows(client, sql.overload_list, { schema, function: file_name?.replace(/\.sql$/, '') });
  return found.map((row) => OverloadSchema.parse(row));
}

async function stamps(client: pg.Client, query: Query): Promise<Map<string, string>> {
  const found = await rows(client, query, {});
  return new Map(found.map((row) => StampSchema.parse(row)).map(({ name, checksum }) => [name, checksum]));
}

function migrationFiles(): SqlFile[] {
  return sqlFiles('migrations', '');
}

function functionFiles(): SqlFile[] {
  const rank = (schema: string) =>
    (schema_order.indexOf(schema) + schema_order.length + 1) % (schema_order.length + 1);
  const schemas = readdirSync(join(sql_directory, 'functions'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
  return schemas.flatMap((schema) => sqlFiles(`functions/${schema}`, `${schema}/`));
}

function sqlFiles(directory: string, prefix: string): SqlFile[] {
  return readdirSync(join(sql_directory, directory))
    .filter((file) => file.endsWith('.sql'))
    .sort()
    .map((file) => {
      const text = readFileSync(join(sql_directory, directory, file), 'utf8').replaceAll('\r\n', '\n');
      return { name: `${prefix}${file}`, text, checksum: createHash('sha256').update(text).digest('hex') };
    });
}

async function withClient<Result>(
  database_url: string,
  work: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
  const client = new pg.Client({
    connectionString: database_url,
    application_name: 'lattice migrate',
    connectionTimeoutMillis: 5_000,
  });
  // A connection lost between two statements fails the next one, which says so.
  client.on('error', () => {});
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

async function inTransaction(client: pg.Client, work: () => Promise<void>): Promise<void> {
  await client.query('begin');
  try {
    await work();
    await client.query('commit');
  } catch (error) {
    await client.query('rollback');
    throw error;
  }
}

async function rows(client: pg.Client, query: Query, values: Record<string, unknown>): Promise<unknown[]> {
  const result = await client.query(
    query.text,
    query.parameters.map((name) => values[name]),
  );
  return result.rows;
}

/** The error of a file, with the file, the line and what to do about a lock. */
function explained(file: SqlFile, error: unknown): Error {
  if (!(error instanceof pg.DatabaseError)) return error instanceof Error ? error : new Error(String(error));
  const line =
    error.position === undefined ? '' : `:${file.text.slice(0, Number(error.position)).split('\n').length}`;
  const advice =
    error.code === '55P03'
      ? ` (a table was in use for longer than ${ddl_lock_timeout_seconds} s: nothing of this file was changed, run it again)`
      : '';
  return new Error(`${file.name}${line}: ${error.message}${advice}`, { cause: error });
}
