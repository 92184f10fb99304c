// Gate: what DESIGN and the house style promise of the database, asked of the catalogue of a migrated one.
// Each check is run a second time with its promise broken, and has to notice.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { dumpSchema } from '../scripts/dump.ts';
import { type Query, queries } from '../src/db.ts';
import { problems } from '../src/errors.ts';
import { databaseUrl } from './support/database.ts';
import { root } from './support/source.ts';

const sql = queries(
  import.meta.url,
  'table_wall',
  'policy_extra',
  'table_tenant',
  'index_tenant',
  'foreign_key_tenant',
  'constraint_name',
  'constraint_problem',
  'append_only',
  'partition_privilege',
  'reader_privilege',
  'role_attribute',
  'owner',
  'schema_privilege',
  'function_pinned',
  'function_public',
  'view_invoker',
  'partition_ahead',
  'column_type',
  'trigger_none',
  'column_list',
  'schema_list',
  'problem_constraint',
);

const client = new pg.Client({ connectionString: databaseUrl('postgres') });
await client.connect();
afterAll(() => client.end());

/** Schemas without tenants: what has been migrated, and the job queue, which holds ids only. */
const schemas_without_tenants = ['lattice', 'graphile_worker'];

/** table → column → class; what each class means stands in ARCHITECTURE.md */
const ClassificationSchema = z.record(
  z.string(),
  z.record(z.string(), z.enum(['public', 'personal', 'secret'])),
);
const classification = ClassificationSchema.parse(
  JSON.parse(readFileSync(join(root, 'sql', 'classification.json'), 'utf8')),
);

const NameSchema = z.object({ name: z.string() });
const tenant_schemas = (await client.query(sql.schema_list.text)).rows
  .map((row) => NameSchema.parse(row).name)
  .filter((name) => !schemas_without_tenants.includes(name));

async function rows<Row extends z.ZodType>(query: Query, row: Row): Promise<z.infer<Row>[]> {
  const values: Record<string, unknown> = {
    schemas: tenant_schemas,
    problems: Object.keys(problems),
    secrets: Object.entries(classification).flatMap(([table, columns]) =>
      Object.entries(columns).flatMap(([column, kind]) => (kind === 'secret' ? [`${table}.${column}`] : [])),
    ),
  };
  const { rows: found } = await client.query(
    query.text,
    query.parameters.map((name) => values[name]),
  );
  return found.map((each) => row.parse(each));
}

interface Check {
  promise: string;
  query: Query;
  /** how many objects it must have looked at */
  at_least: number;
  /** a change that breaks the promise */
  breach: string;
  /** object → why it is right all the same */
  allowed?: Record<string, string>;
}

const partition_breach = `
  create table ledger.leak_2001_01 partition of ledger.entry for values from ('2001-01-01') to ('2001-02-01')`;

const checks: Check[] = [
  {
    promise: 'every table and partition has row level security, forced, and the wall',
    query: sql.table_wall,
    at_least: 30,
    breach: partition_breach,
    allowed: {
      'tenants.tenant': "the platform's tenant sees every tenant, and only it writes them",
      'jobs.schedule': "the platform's tenant puts every tenant's jobs into the queue when they are due",
      'jobs.dead_letter': 'who runs the platform sees which jobs gave up; they hold ids only',
    },
  },
  {
    promise: 'no second policy opens the wall',
    query: sql.policy_extra,
    at_least: 30,
    breach: 'create policy everybody on ledger.entry for select using (true)',
    allowed: {
      'access.api_key presented_key':
        'one row, for reading: the key that is presented, before its tenant is known',
    },
  },
  {
    promise: "every table's first column is its tenant",
    query: sql.table_tenant,
    at_least: 30,
    breach: 'create table ledger.leak (id uuid not null, tenant_id uuid not null)',
  },
  {
    promise: 'every key and index begins with the tenant',
    query: sql.index_tenant,
    at_least: 20,
    breach: 'create index leak_idx on ledger.entry (account_id)',
    allowed: {
      'tenants.tenant_slug_taken': 'a slug names a tenant; only the platform writes them',
      'access.api_key_id_idx': "authentication knows the key's id before its tenant",
      'jobs.schedule_due_idx': 'one look finds what is due in all tenants',
      'jobs.dead_letter_id_idx': 'who runs the platform lists those of all tenants',
    },
  },
  {
    promise: 'every foreign key carries the tenant on both sides',
    query: sql.foreign_key_tenant,
    at_least: 2,
    breach: `
      alter table ledger.account add constraint leak unique (id);
      alter table ledger.account_version add constraint leak_fkey foreign key (account_id) references ledger.account (id)`,
  },
  {
    promise: 'every constraint has a name of ours',
    query: sql.constraint_name,
    at_least: 20,
    breach: "alter table ledger.account add check (code <> '')",
  },
  {
    promise: 'what a client can run into is a problem by the same name',
    query: sql.constraint_problem,
    at_least: 4,
    breach: 'alter table ledger.account add constraint account_name_odd unique (tenant_id, currency, id)',
  },
  {
    promise: 'nobody may change or remove what ledger and log recorded',
    query: sql.append_only,
    at_least: 100,
    breach: 'grant update (status) on log.idempotency_key to lattice_app',
  },
  {
    promise: 'partitions are reached through their parent only',
    query: sql.partition_privilege,
    at_least: 20,
    breach: `${partition_breach}; grant select on ledger.leak_2001_01 to lattice_app`,
  },
  {
    promise: 'lattice_read only reads, and no secret',
    query: sql.reader_privilege,
    at_least: 100,
    breach: 'grant select on access.api_key to lattice_read',
  },
  {
    promise: 'no role of ours walks through walls or becomes another',
    query: sql.role_attribute,
    at_least: 3,
    breach: 'grant lattice_owner to lattice_app',
  },
  {
    promise: 'everything belongs to lattice_owner',
    query: sql.owner,
    at_least: 100,
    breach: 'alter table ledger.account owner to lattice_app',
  },
  {
    promise: 'only the owner creates tables and functions',
    query: sql.schema_privilege,
    at_least: 10,
    breach: 'grant create on schema ledger to lattice_app',
  },
  {
    promise: 'every function pins its search_path',
    query: sql.function_pinned,
    at_least: 10,
    breach:
      'create function ledger.leak() returns integer language sql security definer set search_path = pg_catalog return 1',
  },
  {
    promise: 'no function is open to everybody',
    query: sql.function_public,
    at_least: 10,
    breach:
      'create function ledger.leak() returns integer language sql set search_path = pg_catalog return 1',
  },
  {
    promise: 'every view reads with the eyes of who asks',
    query: sql.view_invoker,
    at_least: 1,
    breach: 'create view ledger.leak as select tenant_id from ledger.entry',
  },
  {
    promise: 'three months of partitions lie ahead',
    query: sql.partition_ahead,
    at_least: 8,
    breach: 'create table ledger.entry_rest partition of ledger.entry default',
  },
  {
    promise: 'no float, no instant without a zone, no sequence',
    query: sql.column_type,
    at_least: 100,
    breach: 'alter table ledger.account add column rate real',
  },
  {
    promise: 'nothing happens by trigger or rule',
    query: sql.trigger_none,
    at_least: 30,
    breach: 'create rule leak as on delete to ledger.account do instead nothing',
  },
];

const ObjectSchema = z.object({ object: z.string(), wrong: z.boolean() });

describe('the catalogue', () => {
  test('has the schemas of the modules', () => {
    expect(tenant_schemas.sort()).toEqual([
      'access',
      'jobs',
      'ledger',
      'log',
      'projection',
      'proofs',
      'tenants',
      'webhooks',
    ]);
  });

  test.each(checks)('$promise', async ({ query, at_least, breach, allowed = {} }) => {
    const looked_at = await rows(query, ObjectSchema);
    expect(looked_at.length).toBeGreaterThanOrEqual(at_least);
    const wrong = looked_at.filter((object) => object.wrong).map(({ object }) => object);
    expect(wrong.sort()).toEqual(Object.keys(allowed).sort());

    await client.query('begin');
    await client.query(breach);
    const broken = await rows(query, ObjectSchema);
    await client.query('rollback');
    expect(broken.filter((object) => object.wrong).length).toBeGreaterThan(wrong.length);
  });

  test('has a constraint for each problem that says what is taken', async () => {
    const names = (await rows(sql.problem_constraint, NameSchema)).map(({ name }) => name);
    const taken = Object.keys(problems).filter((code) => code.endsWith('_taken'));
    expect(taken.length).toBeGreaterThanOrEqual(4);
    expect(taken.filter((code) => !names.includes(code))).toEqual([]);
  });
});

test('sql/schema.sql is what a migrated database has; `npm run generate` writes it', async () => {
  const committed = readFileSync(join(root, 'sql', 'schema.sql'), 'utf8');
  expect((await dumpSchema(client)) === committed, 'stale: npm run generate').toBe(true);
  await client.query('begin; alter table ledger.account add column leak text');
  const changed = await dumpSchema(client);
  await client.query('rollback');
  expect(changed === committed).toBe(false);
});

describe('every column', () => {
  test('is classified in sql/classification.json as public, personal or secret', async () => {
    const columns = await rows(sql.column_list, z.object({ relation: z.string(), name: z.string() }));
    expect(columns.length).toBeGreaterThan(90);
    const classified = Object.entries(classification).flatMap(([table, classes]) =>
      Object.keys(classes).map((column) => `${table}.${column}`),
    );
    expect(classified.sort()).toEqual(columns.map(({ relation, name }) => `${relation}.${name}`).sort());
  });
});
