// Tenants and keys from the command line, through the API that everybody has.
import { expect, test } from 'vitest';
import { z } from 'zod';
import { commandLines } from '../support/command_lines.ts';
import { anEmptyDatabase, databaseUrl } from '../support/database.ts';
import { aPlatformKey, aTenant } from '../support/factories.ts';
import { signing_keys_path, startServer } from '../support/server.ts';

const server = await startServer();
const lattice = commandLines();

async function status(api_key: string): Promise<number> {
  return (await server.client(api_key).get('/v1/me')).status;
}

test('a platform key creates a tenant, whose key is shown and works', async () => {
  const words = [
    'tenant',
    'create',
    '--slug',
    'acme-cli',
    '--template',
    'wallets',
    '--currency',
    'EUR',
    '--mode',
    'test',
  ];
  const environment = { LATTICE_URL: server.url, LATTICE_PLATFORM_KEY: await aPlatformKey() };
  const created = await lattice(words, environment);
  expect(created).toMatchObject({ status: 0, stderr: '' });
  expect(
    created.stdout.replace(/ten_\w+/, 'ten_…').replace(/lk_test_\w+/, 'lk_test_…'),
  ).toMatchInlineSnapshot(`
    "tenant     ten_… (acme-cli)
    owner key  lk_test_…
    The key is shown this once: keep it where secrets are kept.
    "
  `);
  expect(await status(String(/lk_test_\w+/.exec(created.stdout)))).toBe(200);

  const again = await lattice([...words, '--json'], environment);
  expect(again.status).toBe(1);
  expect(JSON.parse(again.stdout)).toEqual({ error: expect.stringMatching(/^tenant_slug_taken: /) });
});

test("a tenant's owner creates a key with a role, and revokes it", async () => {
  const { api_key } = await aTenant();
  const environment = { LATTICE_URL: server.url, LATTICE_API_KEY: api_key };
  const { stdout } = await lattice(
    ['key', 'create', '--name', 'CI', '--role', 'integrator_read', '--json'],
    environment,
  );
  const created = z
    .looseObject({ id: z.string(), role: z.string(), api_key: z.string() })
    .parse(JSON.parse(stdout));
  expect(created.role).toBe('integrator_read');
  expect(await status(created.api_key)).toBe(200);

  const revoked = await lattice(['key', 'revoke', created.id], environment);
  expect(revoked).toMatchObject({ status: 0, stderr: '' });
  expect(revoked.stdout).toContain(`revoked  ${created.id} (CI) at `);
  expect(await status(created.api_key)).toBe(401);

  const again = await lattice(['key', 'revoke', created.id], environment);
  expect(again).toMatchObject({ status: 1, stdout: '' });
  expect(again.stderr).toMatch(/^lattice: key_revoked: .+\n$/);
});

test('the first platform key comes from whoever has the database', async () => {
  const { status: ended, stdout } = await lattice(
    ['key', 'create', '--platform', '--name', 'first', '--json'],
    {
      NODE_ENV: 'production',
      DATABASE_URL: databaseUrl('lattice_app'),
    },
  );
  expect(ended).toBe(0);
  const { api_key, role } = z
    .looseObject({ api_key: z.string(), role: z.string() })
    .parse(JSON.parse(stdout));
  expect(role).toBe('platform');
  expect((await server.client(api_key).get('/v1/tenants')).status).toBe(200);
});

test('a tenant that has lost its keys gets one from whoever has the database', async () => {
  const { slug } = await aTenant();
  const environment = { DATABASE_URL: databaseUrl('lattice_app') };
  const words = ['key', 'create', '--role', 'owner', '--name', 'Recovered', '--json'];
  const { status: ended, stdout } = await lattice([...words, '--tenant', slug], environment);
  expect(ended).toBe(0);
  const { api_key } = z.looseObject({ api_key: z.string() }).parse(JSON.parse(stdout));
  const answer = await server.client(api_key).get('/v1/me');
  expect(answer.body).toMatchObject({ tenant: { slug }, key: { name: 'Recovered', role: 'owner' } });

  const missing = await lattice([...words, '--tenant', 'nobody'], environment);
  expect(missing.status).toBe(1);
  expect(missing.stderr).toMatch(/^lattice: .*tenant.*\n$/);
});

test.each(['', 'x'.repeat(201), 'a\tb'])('past the API a name is no other than by it: %j', async (name) => {
  const words = ['key', 'create', '--platform', '--name', name];
  const {
    status: ended,
    stdout,
    stderr,
  } = await lattice(words, { DATABASE_URL: databaseUrl('lattice_app') });
  expect([ended, stdout]).toEqual([2, '']);
  expect(stderr).toMatch(/^lattice: --name: .*\nusage: /);
});

test.each([
  ['key', 'create', '--platform', '--name', 'x'],
  ['verify', '--all'],
])('a database that was never migrated is told in one line by %s %s', async (...words) => {
  const emptyUrl = await anEmptyDatabase();
  const environment = { DATABASE_URL: emptyUrl('lattice_app'), LATTICE_SIGNING_KEYS: signing_keys_path };
  expect(await lattice(words, environment)).toMatchObject({
    status: 1,
    stderr:
      'lattice: the schema is not current (the database has never been migrated): run `lattice migrate` with DATABASE_OWNER_URL\n',
  });
});

test('a server that does not answer is told in one line', async () => {
  const { status: ended, stderr } = await lattice(['key', 'create', '--name', 'x', '--role', 'owner'], {
    LATTICE_URL: 'http://127.0.0.1:1',
    LATTICE_API_KEY: 'lk_test_x',
  });
  expect(ended).toBe(1);
  expect(stderr).toMatch(
    /^lattice: no answer from http:\/\/127\.0\.0\.1:1 \(.+\): is Lattice started, and is --url right\?\n$/,
  );
});
