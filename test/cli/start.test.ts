// `start`, as an operator sees it: what it prints, what it leaves behind, what it refuses, and how it ends.
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { sessionRefusal } from '../../src/cli/postgres.ts';
import { schemaDifferences } from '../../src/migrate.ts';
import { commandLines } from '../support/command_lines.ts';
import { anEmptyDatabase, databaseUrl } from '../support/database.ts';
import {
  aDataDirectory,
  lattice,
  preparedDirectory,
  runningPostgres,
  spawnLattice,
  startLattice,
} from '../support/lattice.ts';
import { freePort } from '../support/port.ts';
import { waitFor } from '../support/wait.ts';

const DemoSchema = z.strictObject({ url: z.string(), tenant_id: z.string(), api_key: z.string() });

const line = commandLines();
const aMigratedDirectory = preparedDirectory();

function readDemo(directory: string) {
  return DemoSchema.parse(JSON.parse(readFileSync(join(directory, 'demo.json'), 'utf8')));
}

async function get(url: string, api_key: string): Promise<number> {
  const response = await fetch(url, { headers: { Authorization: `Bearer ${api_key}` } });
  await response.arrayBuffer();
  return response.status;
}

test('a first start makes a demo tenant with a month of money; the next one is ready with the same key', async () => {
  const directory = await aDataDirectory();
  const first = await startLattice({ LATTICE_DATA_DIR: directory }, ['start']);
  await waitFor('it says how to call it', () => first.output().includes('curl -s'));
  const steps = first
    .output()
    .match(/^ {2}[A-Z].*?(?= {2})/gm)
    ?.map((line) => line.trim());
  expect(steps).toEqual([
    'PostgreSQL',
    'Migrations',
    'Tenant',
    'Demo month',
    'Proof',
    'Ready',
    'API',
    'Docs',
    'Key',
  ]);
  expect(first.output().match(/[\d,]+ ms$/gm)).toHaveLength(6);

  const demo = readDemo(directory);
  expect(demo.url).toBe(first.url);
  expect(demo.tenant_id).toMatch(/^ten_/);
  for (const file of ['demo.json', 'platform.json', 'postgres.json']) {
    expect([file, (statSync(join(directory, file)).mode & 0o777).toString(8)]).toEqual([file, '600']);
  }
  const curl = /curl -s (\S+) -H 'Authorization: Bearer (\S+)'/.exec(first.output());
  expect(curl?.[2]).toBe(demo.api_key);
  expect(await get(String(curl?.[1]), demo.api_key)).toBe(200);

  first.signal('SIGTERM');
  expect(await first.ended).toMatchObject({ status: 0, stderr: '' });
  expect(runningPostgres(directory)).toBeNull();

  const again = await startLattice({ LATTICE_DATA_DIR: directory }, ['start']);
  expect(again.output()).not.toContain('Demo month');
  expect(readDemo(directory)).toEqual({ ...demo, url: again.url });
  expect(await get(`${again.url}/v1/me`, demo.api_key)).toBe(200);
});

test('--json tells the same for programs', async () => {
  const directory = await aMigratedDirectory();
  const started = spawnLattice(['start', '--no-demo', '--json'], { LATTICE_DATA_DIR: directory });
  await waitFor('it is ready', () => started.output().includes('"ready"'));
  started.signal('SIGINT');
  const { status, stdout, stderr } = await started.ended;
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => z.looseObject({}).parse(JSON.parse(line)));
  expect(lines.map(({ step }) => step ?? null)).toEqual(['PostgreSQL', 'Migrations', null]);
  expect(lines.at(-1)).toMatchObject({ ready: true, demo: null });
});

test('after Ctrl-C a request under way is answered before the process ends, and nobody new is let in', async () => {
  const directory = await aMigratedDirectory();
  const { url, pid, ended } = await startLattice({ LATTICE_DATA_DIR: directory });
  const { hostname, port } = new URL(url);
  const platform = z
    .object({ api_key: z.string() })
    .parse(JSON.parse(readFileSync(join(directory, 'platform.json'), 'utf8')));
  const body = JSON.stringify({ slug: 'slow', name: 'Slow', template: 'blank', currency: 'EUR' });
  const slow = request({
    hostname,
    port,
    method: 'POST',
    path: '/v1/tenants',
    headers: {
      Authorization: `Bearer ${platform.api_key}`,
      'Idempotency-Key': 'slow',
      'Content-Type': 'application/json',
      'Content-Length': Buffer.byteLength(body),
    },
  });
  const answered = new Promise<number | undefined>((resolve, reject) => {
    slow.once('response', (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    slow.once('error', reject);
  });
  slow.write(body.slice(0, 10));
  await waitFor('the request is on its way', () => (slow.socket?.bytesWritten ?? 0) > 0);
  // A connection that was open before stays usable until its request is answered.
  await get(`${url}/livez`, '');
  // Ctrl-C: the terminal sends it to the whole group, and Postgres must not be in it.
  process.kill(-pid, 'SIGINT');
  await waitFor('nobody new is let in', () =>
    fetch(`${url}/readyz`).then(
      async (response) => {
        await response.arrayBuffer();
        return response.status === 503;
      },
      () => true,
    ),
  );
  slow.end(body.slice(10));
  expect(await answered).toBe(201);
  expect(await ended).toMatchObject({ status: 0, stderr: '' });
});

test('a port that is taken is told before anything is started for it', async () => {
  const directory = await aDataDirectory();
  const squatter = createServer();
  const port = await freePort();
  await new Promise<void>((resolve) => squatter.listen(port, '127.0.0.1', resolve));
  const { status, stdout, stderr } = await lattice(['start'], {
    LATTICE_DATA_DIR: directory,
    PORT: String(port),
  });
  squatter.close();
  expect({ status, stdout, stderr }).toEqual({
    status: 1,
    stdout: '',
    stderr: `lattice: port ${port} on 127.0.0.1 is taken: stop what listens there, or set PORT to another\n`,
  });
});

test.each([
  [
    'production with nothing',
    { NODE_ENV: 'production' },
    'production needs DATABASE_URL: the embedded PostgreSQL is for trying and developing; production needs LATTICE_SIGNING_KEYS',
  ],
  [
    'an address of another machine',
    { HOST: '203.0.113.1' },
    'HOST 203.0.113.1 is not an address of this machine',
  ],
  [
    'a database that does not answer',
    { DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none' },
    'nobody cannot use the database none at 127.0.0.1: connect ECONNREFUSED',
  ],
  ['a superuser', { DATABASE_URL: databaseUrl('postgres') }, 'postgres is a superuser'],
  [
    'the owner of the tables',
    { DATABASE_URL: databaseUrl('lattice_owner') },
    'lattice_owner owns the tables',
  ],
])('%s is refused in one line', async (_, environment, why) => {
  const directory = await aDataDirectory();
  const { status, stderr } = await line(['start'], {
    LATTICE_DATA_DIR: directory,
    PORT: String(await freePort()),
    ...environment,
  });
  expect(status).toBe(1);
  expect(stderr.split('\n')).toHaveLength(2);
  expect(stderr).toContain(`lattice: ${why}`);
});

test.each([
  ['demo.json', ['verify'], '{"api_key": "lk_\u0000'],
  ['platform.json', ['tenant', 'create', '--slug', 'a', '--template', 'blank', '--currency', 'EUR'], '[]'],
  ['platform.json', ['start', '--no-demo'], ''],
])('a damaged %s is named by %j', async (file, words, content) => {
  const directory = await aMigratedDirectory();
  const path = join(directory, file);
  writeFileSync(path, content);
  expect(await line(words, { LATTICE_DATA_DIR: directory })).toMatchObject({
    status: 1,
    stderr: `lattice: ${path} is damaged: delete it, and the next start writes it anew\n`,
  });
  expect(runningPostgres(directory)).toBeNull();
});

test('where no directory can be made, that is told in one line', async () => {
  const directory = join(await aDataDirectory(), 'x'.repeat(256));
  expect(await line(['start'], { LATTICE_DATA_DIR: directory })).toMatchObject({
    status: 1,
    stderr: `lattice: the directory ${directory} cannot be made (ENAMETOOLONG): set LATTICE_DATA_DIR to where there is room and this process may write\n`,
  });
});

test('of two first starts at once one serves, and the other says so', async () => {
  const directory = await aDataDirectory();
  const both = [0, 1].map(() => spawnLattice(['start', '--no-demo'], { LATTICE_DATA_DIR: directory }));
  const { status, stderr } = await Promise.race(both.map(({ ended }) => ended));
  expect(status).toBe(1);
  expect(stderr).toMatch(/^lattice: another Lattice \(process \d+\) runs on .*\n$/);
  await waitFor('the other one serves', () => both.some(({ output }) => output().includes('API ')));
});

test.each([
  ['a file', '', {}],
  ['below a file', '/data', {}],
  ['a file, with a database elsewhere,', '', { DATABASE_URL: databaseUrl('lattice_app') }],
])('a data directory that is %s is told in one line', async (_, below, environment) => {
  const file = join(await aDataDirectory(), 'file');
  writeFileSync(file, '');
  expect(await line(['start'], { ...environment, LATTICE_DATA_DIR: file + below })).toMatchObject({
    status: 1,
    stderr: `lattice: a file is in the way of the directory ${file}${below}: move it away, or set LATTICE_DATA_DIR to another\n`,
  });
});

test.each([
  ['without keys', 'lattice_app', {}, 'production needs LATTICE_SIGNING_KEYS'],
  [
    'whose keys are not there',
    'lattice_app',
    { LATTICE_SIGNING_KEYS: '/nowhere.pem' },
    'there are no signing keys at /nowhere.pem',
  ],
  ['that is a superuser', 'postgres', { NODE_ENV: 'test' }, 'postgres is a superuser'],
] as const)('a process %s migrates nothing', async (_, role, environment, why) => {
  const emptyUrl = await anEmptyDatabase();
  const { status, stderr } = await line(['start'], {
    NODE_ENV: 'production',
    LATTICE_DATA_DIR: await aDataDirectory(),
    DATABASE_URL: emptyUrl(role),
    DATABASE_OWNER_URL: emptyUrl('lattice_owner'),
    ...environment,
  });
  expect({ status, stderr }).toEqual({ status: 1, stderr: expect.stringContaining(`lattice: ${why}`) });
  expect(await schemaDifferences(emptyUrl('lattice_app'))).toEqual(['the database has never been migrated']);
});

test('a superuser makes no tables', async () => {
  const emptyUrl = await anEmptyDatabase();
  const owner = { DATABASE_OWNER_URL: emptyUrl('postgres') };
  const app = { DATABASE_URL: emptyUrl('lattice_app'), LATTICE_DATA_DIR: await aDataDirectory() };
  const refusal =
    /^lattice: postgres is a superuser, and would own what it makes: let DATABASE_OWNER_URL .*\n$/;
  expect(await line(['migrate'], owner)).toMatchObject({
    status: 1,
    stderr: expect.stringMatching(refusal),
  });
  expect((await line(['start'], { ...app, ...owner })).stderr).toMatch(refusal);
  expect(await schemaDifferences(emptyUrl('lattice_app'))).toEqual(['the database has never been migrated']);
});

test('an owner of another database is told from one of this', async () => {
  const emptyUrl = await anEmptyDatabase();
  const { status, stderr } = await line(['start'], {
    LATTICE_DATA_DIR: await aDataDirectory(),
    DATABASE_URL: emptyUrl('lattice_app'),
    DATABASE_OWNER_URL: databaseUrl('lattice_owner'),
  });
  expect({ status, stderr }).toEqual({
    status: 1,
    stderr:
      'lattice: the schema is not current (the database has never been migrated): DATABASE_URL and DATABASE_OWNER_URL have to name one database\n',
  });
});

test('a server older than 15 is refused, and says so', () => {
  const session = { role: 'lattice_app', is_superuser: false, bypasses_rls: false, owns_tables: false };
  expect(sessionRefusal({ ...session, version_num: 140_012, version: '14.12' })).toMatch(
    /14\.12.*15 or newer/,
  );
  expect(sessionRefusal({ ...session, version_num: 150_000, version: '15.0' })).toBeNull();
});

test('with DATABASE_URL there is no demo tenant, and the process leaves that Postgres alone', async () => {
  const directory = await aDataDirectory();
  const owner = { DATABASE_OWNER_URL: databaseUrl('lattice_owner') };
  // The month in which the template was made may be over.
  expect(await line(['migrate'], owner)).toMatchObject({ status: 0 });
  const started = await startLattice(
    { LATTICE_DATA_DIR: directory, DATABASE_URL: databaseUrl('lattice_app') },
    ['start'],
  );
  expect(started.output()).toContain('Migrations  current');
  expect(started.output()).not.toContain('demo');
  started.signal('SIGTERM');
  expect(await started.ended).toMatchObject({ status: 0, stderr: '' });
  const again = await lattice(['migrate', '--json'], owner);
  expect(JSON.parse(again.stdout)).toEqual({ applied: [], functions: [], partitions: 0 });
});
