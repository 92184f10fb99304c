// Migrations: applied once and in order, functions whenever they differ, by one process at a time.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { createLogger } from '../src/log.ts';
import { migrate, schemaDifferences } from '../src/migrate.ts';
import { asRole, asSuperuser, databaseUrl } from './support/database.ts';
import { root } from './support/source.ts';
import { waitFor } from './support/wait.ts';

const logger = createLogger('silent');
const nothing = { applied: [], functions: [], partitions: 0 };
const anything = z.unknown();

function migrateHere() {
  return migrate(databaseUrl('lattice_owner'), logger);
}

function differences() {
  return schemaDifferences(databaseUrl('lattice_app'));
}

function asOwner(text: string) {
  return asRole('lattice_owner', anything, text);
}

// The template has the partitions of the month in which it was made, and that may be over.
beforeAll(migrateHere);

test('a current database is left as it is, and the process that only looks agrees', async () => {
  const files = readdirSync(join(root, 'sql/migrations'));
  const stamps = await asOwner('select name from lattice.migration order by name');
  expect(stamps).toEqual(files.sort().map((name) => ({ name })));
  expect(await migrateHere()).toEqual(nothing);
  expect(await differences()).toEqual([]);
});

test('an applied migration whose file has changed is refused', async () => {
  await disturbStamp('0001_log.sql', 'of an older file');
  await expect(migrateHere()).rejects.toThrow(
    '0001_log.sql was applied with another content: restore the file and put the change into a new migration',
  );
  expect(await differences()).toEqual(['0001_log.sql was applied with another content']);
});

test('a database that a newer version has migrated is not migrated, but served', async () => {
  await asOwner("insert into lattice.migration (name, checksum) values ('9999_later.sql', 'x')");
  onTestFinished(async () => {
    await asOwner("delete from lattice.migration where name = '9999_later.sql'");
  });
  await expect(migrateHere()).rejects.toThrow(
    'which this version does not know: run a newer version of Lattice',
  );
  expect(await differences()).toEqual([]);
});

test('a migration that comes before one that is applied is refused', async () => {
  await disturbStamp('0001_log.sql', null);
  await expect(migrateHere()).rejects.toThrow(
    '0001_log.sql comes before 0002_tenants_access.sql, which is already applied: give it a higher number',
  );
});

test('a migration that fails says in which line, and leaves nothing behind', async () => {
  const names = readdirSync(join(root, 'sql/migrations')).sort();
  // The last one that makes something which is there already; what only grants succeeds a second time.
  const failing = names.findLastIndex((name) =>
    /^create (table|policy|schema)/m.test(readFileSync(join(root, 'sql/migrations', name), 'utf8')),
  );
  const last = names.slice(failing);
  for (const name of last) await disturbStamp(name, null);
  const before = await asSuperuser(anything, 'select count(*) from pg_class');
  await expect(migrateHere()).rejects.toThrow(new RegExp(`^${last[0]}(:\\d+)?: .* already exists`));
  expect(await asSuperuser(anything, 'select count(*) from pg_class')).toEqual(before);
  expect(await differences()).toEqual(last.map((name) => `${name} is not applied`));
});

test('a function that differs is replaced, whatever its signature was, with the rights of its kind', async () => {
  await asOwner('drop function log.head(uuid)');
  await asOwner(
    "create function log.head(p_tenant_id uuid) returns text language sql stable as $$ select 'old' $$",
  );
  await asOwner(
    "create function log.head(p_other integer) returns text language sql as $$ select 'older' $$",
  );
  await asOwner("update lattice.function set checksum = 'of an older file' where name = 'log/head.sql'");
  expect(await differences()).toEqual(['the function log/head.sql differs']);
  expect(await migrateHere()).toEqual({ ...nothing, functions: ['log/head.sql'] });
  const found = await asSuperuser(
    anything,
    `select oid::regprocedure::text as signature, has_function_privilege('lattice_app', oid, 'execute') as app,
       has_function_privilege('lattice_read', oid, 'execute') as read, has_function_privilege('public', oid, 'execute') as public
     from pg_proc where proname = 'head' and pronamespace = 'log'::regnamespace`,
  );
  expect(found).toEqual([{ signature: 'log.head(uuid)', app: true, read: true, public: false }]);
});

test('an older signature of a function does not stay beside the new one', async () => {
  await asOwner(
    "create function log.head(p_other integer) returns text language sql as $$ select 'older' $$",
  );
  await asOwner("update lattice.function set checksum = 'of an older file' where name = 'log/head.sql'");
  expect(await migrateHere()).toEqual({ ...nothing, functions: ['log/head.sql'] });
  expect(await asOwner("select to_regprocedure('log.head(integer)') as found")).toEqual([{ found: null }]);
});

test('a function that writes is for the process alone', async () => {
  const [append] = await asSuperuser(
    anything,
    `select has_function_privilege('lattice_app', oid, 'execute') as app,
       has_function_privilege('lattice_read', oid, 'execute') as read
     from pg_proc where proname = 'append_event' and pronamespace = 'log'::regnamespace`,
  );
  expect(append).toEqual({ app: true, read: false });
});

test('a function without a file goes', async () => {
  await asOwner("create function log.forgotten() returns text language sql as $$ select 'x' $$");
  await asOwner("insert into lattice.function (name, checksum) values ('log/forgotten.sql', 'x')");
  expect(await migrateHere()).toEqual({ ...nothing, functions: ['log/forgotten.sql'] });
  expect(await asOwner("select to_regprocedure('log.forgotten()') as found")).toEqual([{ found: null }]);
});

test('functions that need one another are made in whatever order works', async () => {
  await asOwner("update lattice.function set checksum = 'x'");
  const names = await asRole(
    'lattice_owner',
    z.object({ signature: z.string() }),
    `select oid::regprocedure::text as signature from pg_proc
     where pronamespace in (
       select oid from pg_namespace where nspowner = (select nspowner from pg_namespace where nspname = 'lattice')
         and nspname <> 'graphile_worker'
     )`,
  );
  expect(names.length).toBeGreaterThan(20);
  for (const { signature } of names) await asOwner(`drop function if exists ${signature} cascade`);
  const { functions } = await migrateHere();
  expect(functions.length).toBe(names.length);
  expect(await differences()).toEqual([]);
});

test('two processes wait for each other', async () => {
  const holder = new pg.Client({ connectionString: databaseUrl('lattice_owner') });
  await holder.connect();
  onTestFinished(() => holder.end());
  await holder.query("select pg_advisory_lock(hashtextextended('lattice.migrate', 7461))");
  await asOwner("update lattice.function set checksum = 'x' where name = 'log/head.sql'");
  const both = Promise.all([migrateHere(), migrateHere()]);
  await waitFor('both wait', async () => {
    const waiting = await asSuperuser(
      anything,
      "select 1 from pg_locks where locktype = 'advisory' and not granted and database = (select oid from pg_database where datname = current_database())",
    );
    return waiting.length === 2;
  });
  await holder.query("select pg_advisory_unlock(hashtextextended('lattice.migrate', 7461))");
  const functions = (await both).flatMap((migrated) => migrated.functions);
  expect(functions).toEqual(['log/head.sql']);
});

test('a database that was never migrated says so', async () => {
  await expect(
    schemaDifferences(databaseUrl('lattice_app').replace(/\/test_\w+/, '/postgres')),
  ).resolves.toEqual(['the database has never been migrated']);
});

/** Gives an applied migration another checksum, or none, as long as the test runs. */
async function disturbStamp(name: string, checksum: string | null): Promise<void> {
  const [original] = await asRole(
    'lattice_owner',
    z.object({ checksum: z.string() }),
    `delete from lattice.migration where name = '${name}' returning checksum`,
  );
  const insert = (text: string) =>
    asOwner(`insert into lattice.migration (name, checksum) values ('${name}', '${text}')`);
  if (checksum !== null) await insert(checksum);
  onTestFinished(async () => {
    await asOwner(`delete from lattice.migration where name = '${name}'`);
    await insert(String(original?.checksum));
  });
}
