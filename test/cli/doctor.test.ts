// `doctor`: finds what is wrong, says what to do, and fails; finds nothing where nothing is.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { makeSigningKeys } from '../../src/modules/proofs/index.ts';
import { commandLines } from '../support/command_lines.ts';
import { anEmptyDatabase, databaseUrl } from '../support/database.ts';
import { aDataDirectory } from '../support/lattice.ts';

const lattice = commandLines();

const ReportSchema = z.object({
  ok: z.boolean(),
  checks: z.array(
    z.object({ name: z.string(), ok: z.boolean(), detail: z.string(), advice: z.string().optional() }),
  ),
});

async function doctor(environment: Record<string, string>) {
  const { status, stdout } = await lattice(['doctor', '--json'], environment);
  const report = ReportSchema.parse(JSON.parse(stdout));
  expect(status).toBe(report.ok ? 0 : 1);
  return report;
}

function failures(report: z.infer<typeof ReportSchema>): string[] {
  return report.checks.filter(({ ok }) => !ok).map(({ name }) => name);
}

/** The run's cluster is not durable, and the doctor is right to say so. */
const careless = ['Durability'];

test('looks at everything, and finds only that the cluster of the tests is not durable', async () => {
  const report = await doctor({ DATABASE_URL: databaseUrl('lattice_app') });
  expect(report.checks.map(({ name }) => name)).toEqual([
    'Node',
    'Signing keys',
    'PostgreSQL',
    'Role',
    'Schema',
    'Tenant wall',
    'Partitions',
    'Durability',
    'Connections',
    'LISTEN',
    'Clock',
  ]);
  expect(failures(report)).toEqual(careless);
  expect(report.checks.find(({ name }) => name === 'Tenant wall')?.detail).toBe('holds in 6 attempts');
});

test('finds that a superuser walks through the wall', async () => {
  const report = await doctor({ DATABASE_URL: databaseUrl('postgres') });
  expect(failures(report)).toEqual(['Role', 'Tenant wall', ...careless]);
});

test('finds a wall that has a hole', async () => {
  await asOwner(
    'alter table ledger.account no force row level security; alter table ledger.account disable row level security',
  );
  await asOwner(
    "insert into ledger.account (tenant_id, id, code, type, currency, scale, created_at) values (gen_random_uuid(), gen_random_uuid(), 'x', 'asset', 'EUR', 2, now())",
  );
  const report = await doctor({ DATABASE_URL: databaseUrl('lattice_app') });
  expect(failures(report)).toEqual(['Tenant wall', ...careless]);
  expect(report.checks.find(({ name }) => name === 'Tenant wall')?.detail).toContain(
    '(but in ledger.account)',
  );
});

test('finds migrations and functions that are missing, and partitions that run out', async () => {
  await asOwner(
    "delete from lattice.migration where name like '0003%'; delete from lattice.function where name = 'log/head.sql'",
  );
  const ahead = await asOwner(
    "select inhrelid::regclass::text as name from pg_inherits where inhparent = 'log.event'::regclass order by 1 desc limit 10",
  );
  for (const { name } of ahead) await asOwner(`drop table ${name}`);
  const report = await doctor({ DATABASE_URL: databaseUrl('lattice_app') });
  expect(failures(report)).toEqual(expect.arrayContaining(['Schema', 'Partitions']));
  const schema = report.checks.find(({ name }) => name === 'Schema');
  expect(schema?.detail).toContain('0003_ledger.sql is not applied');
  expect(schema?.detail).toContain('the function log/head.sql differs');
  expect(schema?.advice).toContain('lattice migrate');
});

test('says of a database that does not answer why, and looks no further', async () => {
  const report = await doctor({ DATABASE_URL: 'postgres://lattice_app@127.0.0.1:1/lattice' });
  expect(failures(report)).toEqual(['PostgreSQL']);
  expect(report.checks).toHaveLength(3);
});

test('finds that notifications of the database do not come where it listens', async () => {
  const environment = { DATABASE_URL: databaseUrl('lattice_app') };
  const emptyUrl = await anEmptyDatabase();
  for (const [elsewhere, why] of [
    [emptyUrl('lattice_app'), 'no notification within 3000 ms'],
    [
      'postgres://lattice_app@127.0.0.1:1/lattice',
      'lattice_app cannot use the database lattice at 127.0.0.1: ',
    ],
  ] as const) {
    const report = await doctor({ ...environment, DATABASE_DIRECT_URL: elsewhere });
    expect(report.checks.find(({ name }) => name === 'LISTEN')).toMatchObject({
      ok: false,
      detail: expect.stringContaining(why),
      advice: expect.stringContaining('DATABASE_DIRECT_URL'),
    });
  }
});

test('finds what production lacks, as the start does', async () => {
  const production = { NODE_ENV: 'production', LATTICE_DATA_DIR: await aDataDirectory() };
  const nothing = await doctor(production);
  expect(failures(nothing)).toEqual(['Signing keys', 'PostgreSQL']);
  expect(nothing.checks.map(({ detail }) => detail)).toEqual(
    expect.arrayContaining([
      expect.stringContaining('production needs LATTICE_SIGNING_KEYS'),
      expect.stringContaining('production needs DATABASE_URL'),
    ]),
  );
  const with_database = { ...production, DATABASE_URL: databaseUrl('lattice_app') };
  const missing = join(production.LATTICE_DATA_DIR, 'nowhere.pem');
  const elsewhere = await doctor({ ...with_database, LATTICE_SIGNING_KEYS: missing });
  expect(failures(elsewhere)).toContain('Signing keys');
  const [, refusal] = elsewhere.checks;
  expect(refusal).toMatchObject({
    detail: `there are no signing keys at ${missing}`,
    advice: expect.stringContaining('docs/runbooks/proofs.md'),
  });
  expect(existsSync(missing)).toBe(false);
  makeSigningKeys(missing);
  const found = await doctor({ ...with_database, LATTICE_SIGNING_KEYS: missing });
  expect(found.checks[1]).toMatchObject({
    ok: true,
    detail: expect.stringMatching(/^[0-9a-f]{32} signs, 0/),
  });
});

test('says of a database that was never migrated what to do about each thing that is missing', async () => {
  const emptyUrl = await anEmptyDatabase();
  const report = await doctor({ DATABASE_URL: emptyUrl('lattice_app') });
  const missing = report.checks.filter(({ ok }) => !ok).filter(({ name }) => !careless.includes(name));
  expect(missing.map(({ name }) => name)).toEqual(['Schema', 'Tenant wall', 'Partitions']);
  for (const { detail, advice } of missing) {
    expect(detail).toMatch(/migrated$/);
    expect(advice).toContain('lattice migrate');
  }
});

test('before the first start there is nothing to find', async () => {
  const report = await doctor({ LATTICE_DATA_DIR: await aDataDirectory() });
  expect(report.ok).toBe(true);
  expect(report.checks.at(-1)?.detail).toContain('npm start makes one');
});

async function asOwner(text: string) {
  const client = new pg.Client({ connectionString: databaseUrl('lattice_owner') });
  await client.connect();
  try {
    const results = await client.query(text);
    return z.array(z.object({ name: z.string() })).parse(Array.isArray(results) ? [] : results.rows);
  } finally {
    await client.end();
  }
}
