// Gate: Postgres understands every named query, its role may run it, and the code beside it gives its parameters and reads its columns.
import pg from 'pg';
import { afterAll, describe, expect, test } from 'vitest';
import type { Role } from './support/cluster.ts';
import { databaseUrl } from './support/database.ts';
import { describeQuery, explainQuery } from './support/describe.ts';
import { namedQueries, queryCalls } from './support/queries.ts';

/** Files whose queries are not run by the process on its own database. */
const other_roles: Record<string, Role> = {
  'src/migrate.sql': 'lattice_owner',
  'src/embedded.sql': 'postgres',
};
/** Statements that Postgres neither prepares nor plans. */
const utility = /^(--.*\n)*(create|alter|drop|grant|revoke|set|listen|notify)\b/;

const clients = new Map<Role, pg.Client>();
for (const role of ['lattice_app', 'lattice_owner', 'postgres'] as const) {
  const client = new pg.Client({ connectionString: databaseUrl(role) });
  await client.connect();
  clients.set(role, client);
}
afterAll(() => Promise.all([...clients.values()].map((client) => client.end())));

function clientOf(path: string): pg.Client {
  const client = clients.get(other_roles[path] ?? 'lattice_app');
  if (client === undefined) throw new Error(`no connection for ${path}`);
  return client;
}

const queries = namedQueries();
const plannable = queries.filter(({ text }) => !utility.test(text));
const described = new Map<string, Awaited<ReturnType<typeof describeQuery>>>();

describe('every named query', () => {
  test('is there to be looked at', () => {
    expect(queries.length).toBeGreaterThan(40);
    expect(plannable.length).toBeGreaterThan(35);
  });

  test('has a name of its own within the process: on one connection two texts cannot share one', () => {
    const names = queries
      .filter(({ path }) => /^src\/(modules|http|jobs)\//.test(path))
      .map(({ name }) => name);
    expect(names.length).toBeGreaterThan(30);
    expect([...names].sort()).toEqual([...new Set(names)].sort());
    // Postgres cuts longer names, without a word.
    expect(names.filter((name) => name.length > 63)).toEqual([]);
  });

  test.each(plannable)('$name is understood and permitted', async ({ name, path, text, parameters }) => {
    const answer = await describeQuery(clientOf(path), text);
    expect(answer.parameters).toHaveLength(parameters.length);
    expect([...answer.columns].sort()).toEqual([...new Set(answer.columns)].sort());
    await explainQuery(clientOf(path), text);
    described.set(`${path} ${name}`, answer);
  });

  test('that is wrong or forbidden is refused', async () => {
    const client = clientOf('src/modules/log/events.sql');
    await expect(describeQuery(client, 'select amuont from ledger.entry')).rejects.toThrow('amuont');
    await expect(explainQuery(client, 'delete from ledger.entry')).rejects.toThrow('permission denied');
    await expect(explainQuery(client, 'select pg_read_file($1)')).rejects.toThrow('permission denied');
  });
});

describe('every call', () => {
  const paths = [...new Set(queries.map(({ path }) => path))].filter((path) =>
    path.startsWith('src/modules/'),
  );
  const calls = paths.flatMap(queryCalls);

  test('gives the parameters of its query', () => {
    expect(calls.length).toBeGreaterThan(25);
    const spelled = calls.filter((call) => call.values !== null);
    expect(spelled.length).toBeGreaterThan(15);
    const wrong = spelled.filter(({ query, sql_path, values }) => {
      const parameters = queries.find((each) => each.name === query && each.path === sql_path)?.parameters;
      return JSON.stringify(parameters?.toSorted()) !== JSON.stringify(values?.toSorted());
    });
    expect(wrong).toEqual([]);
  });

  test('reads the columns of its query, each of them', () => {
    const parsing = calls.filter(({ parses }) => parses);
    const known = parsing.filter(({ fields }) => fields !== null);
    expect(known.length / parsing.length).toBeGreaterThan(0.7);
    const wrong = known
      .map(({ path, sql_path, query, fields }) => ({
        path,
        query,
        fields: fields?.toSorted(),
        columns: described.get(`${sql_path} ${query}`)?.columns.toSorted(),
      }))
      .filter(({ fields, columns }) => JSON.stringify(fields) !== JSON.stringify(columns));
    expect(wrong).toEqual([]);
  });
});
