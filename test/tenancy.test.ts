// Gate: no answer, header or log line tells a tenant that another exists. What another tenant has is missing, to the byte.
import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { createUnstartedModules } from '../scripts/openapi.ts';
import type { Route } from '../src/route.ts';
import type { Answer } from './support/client.ts';
import { asRole, asSuperuser } from './support/database.ts';
import { anInhabitant, type Inhabitant, nobody } from './support/inhabitant.ts';
import { startProcess } from './support/process.ts';
import { TestStream } from './support/stream.ts';
import { waitFor } from './support/wait.ts';

const routes = createUnstartedModules().flatMap((module) => module.routes);
const server = await startProcess({ LOG_LEVEL: 'trace' });
const word = () => `c${randomBytes(4).toString('hex').slice(0, 7)}`;
const canary = word();
const ours = await anInhabitant(server.client, word());
const theirs = await anInhabitant(server.client, canary);

/** Everything that was asked and answered, for the hunt. */
const exchanges: { asked: string[]; answered: string }[] = [];

async function ask(
  who: Inhabitant,
  route: Route,
  path: string,
  named: string[],
  body: unknown,
): Promise<Answer> {
  const sends_body = route.body !== undefined && body !== undefined;
  if (route.kind === 'stream') return askStream(who, path, named);
  const answer = await who.client.send(route.method.toUpperCase(), path, sends_body ? body : undefined);
  if (who === ours) exchanges.push({ asked: [path, ...named], answered: bytes(answer) });
  return answer;
}

/** What a stream says from the beginning of the log until it is live. */
async function askStream(who: Inhabitant, path: string, named: string[]): Promise<Answer> {
  const { api_key } = who.client;
  const stream = await TestStream.open(server.url + path, { api_key, last_event_id: 0 });
  if (stream.status === 200) await waitFor('it is live', () => stream.is_live);
  else await stream.ended;
  await stream.close();
  const { status, headers, text } = stream;
  const answer: Answer = { status, headers, text, body: undefined, as: (schema) => schema.parse(undefined) };
  if (who === ours) exchanges.push({ asked: [path, ...named], answered: bytes(answer) });
  return answer;
}

function bytes(answer: Answer): string {
  return `${answer.status}\n${[...answer.headers].map(([name, value]) => `${name}: ${value}`).join('\n')}\n\n${answer.text}`;
}

/** What is left when the names that were sent, the request and the clock are taken away. */
function faceless(text: string, named: string[]): string {
  let rest = text
    .replaceAll(/"instance":"[^"]*"/g, '')
    .replaceAll(/req_[0-9a-z]{26}/g, 'REQUEST')
    .replaceAll(/^(date|content-length|retry): .*$/gm, '');
  for (const name of named) rest = rest.replaceAll(name, 'NAME').replaceAll(encodeURIComponent(name), 'NAME');
  return rest;
}

function parametersOf(route: Route): string[] {
  return [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => String(name));
}

/** What is named alike in every tenant. */
const shared_names: Record<string, string[]> = {
  projection: ['invoices'],
  job: ['access.prune_stream_tickets'],
};

/** A path for each name that a thing has. */
function pathsOf(route: Route, names: Record<string, string[]>): { path: string; named: string[] }[] {
  const [parameter] = parametersOf(route);
  if (parameter === undefined) return [{ path: route.path, named: [] }];
  return (shared_names[parameter] ?? names[parameter] ?? []).map((name) => ({
    path: route.path.replace(`{${parameter}}`, encodeURIComponent(name)),
    named: [name],
  }));
}

/** A body of the right shape, so that it is the name in the path that is refused. */
function bodyOf(route: Route): unknown {
  return route.example ?? (route.body?.safeParse(undefined).success === true ? undefined : {});
}

const ProblemSchema = z.looseObject({ code: z.string() });
const with_name = routes.filter((route) =>
  parametersOf(route).some((name) => shared_names[name] === undefined),
);

describe('every route that names a thing', () => {
  test('has a name here', () => {
    expect(with_name.length).toBeGreaterThan(12);
    expect(with_name.filter((route) => parametersOf(route).length !== 1)).toEqual([]);
    expect(with_name.filter((route) => pathsOf(route, theirs.names).length === 0)).toEqual([]);
  });

  test.each(with_name)("$method $path: another tenant's is missing", async (route) => {
    const missing = pathsOf(route, nobody);
    for (const [index, { path, named }] of pathsOf(route, theirs.names).entries()) {
      const none = missing[index] ?? { path: '', named: [] };
      const theirs_answer = await ask(ours, route, path, named, bodyOf(route));
      const none_answer = await ask(ours, route, none.path, none.named, bodyOf(route));
      expect(faceless(bytes(theirs_answer), named)).toBe(faceless(bytes(none_answer), none.named));
      // Tenants are named by the platform only: to everybody else the route itself is closed.
      const expected = route.permission?.subject === 'tenant' ? 'forbidden' : 'not_found';
      expect(ProblemSchema.parse(theirs_answer.body).code).toBe(expected);
    }
  });

  test.each(with_name.filter(({ method }) => method === 'get'))(
    '$method $path: our own is there',
    async (route) => {
      if (route.permission?.subject === 'tenant') return;
      for (const { path, named } of pathsOf(route, ours.names)) {
        expect((await ask(ours, route, path, named, undefined)).status).toBe(200);
      }
    },
  );
});

describe('what another tenant has', () => {
  const filters: [string, string, string][] = [
    ['account', theirs.names.account?.[0] ?? '', nobody.account?.[0] ?? ''],
    ['account', theirs.account_code, 'customers:nobody00'],
    ['account_prefix', theirs.account_code, 'customers:nobody00'],
    ['code_prefix', theirs.account_code, 'customers:nobody00'],
    ['reference', theirs.reference, 'ref-nobody00'],
    [`metadata[order_${canary}]`, `value ${canary}`, 'value nobody00'],
  ];
  const parameters = (route: Route) =>
    Object.keys(
      z
        .looseObject({ properties: z.record(z.string(), z.unknown()).default({}) })
        .parse(z.toJSONSchema(route.query ?? z.object({}), { io: 'input', unrepresentable: 'any' }))
        .properties,
    );
  const filtered = routes.flatMap((route) =>
    filters
      .filter(([name]) => parameters(route).includes(String(name.split('[')[0])))
      .map(([name, their, none]) => ({ route, path: route.path, name, their, none })),
  );

  test.each(filtered)('filters nothing: $path $name', async ({ route, name, their, none }) => {
    const target = (value: string) =>
      `${route.path}?${encodeURIComponent(name)}=${encodeURIComponent(value)}`;
    const theirs_answer = await ask(ours, route, target(their), [their, name, target(their)], undefined);
    const none_answer = await ask(ours, route, target(none), [none, name, target(none)], undefined);
    expect(theirs_answer.status).not.toBe(400);
    expect(faceless(bytes(theirs_answer), [their])).toBe(faceless(bytes(none_answer), [none]));
  });

  test('filters were tried', () => {
    expect(filtered.length).toBeGreaterThan(5);
  });

  test('is not an account to post to', async () => {
    const post = async (account: string) => {
      const entries = [
        { account, direction: 'debit', amount: '1' },
        { account: ours.account_code, direction: 'credit', amount: '1' },
      ];
      const answer = await ours.client.post('/v1/transactions', { entries });
      exchanges.push({ asked: [account], answered: bytes(answer) });
      return { code: ProblemSchema.parse(answer.body).code, rest: faceless(bytes(answer), [account]) };
    };
    const [their_id = '', their_code = ''] = theirs.names.account ?? [];
    const [no_id = '', no_code = ''] = nobody.account ?? [];
    expect(await post(their_id)).toEqual(await post(no_id));
    expect(await post(their_code)).toEqual(await post(no_code));
    expect((await post(their_code)).code).toBe('account_not_found');
  });
});

/** Each route once, with our own names where it takes one. */
async function sweep(who: Inhabitant): Promise<{ called: Set<string>; text: string }> {
  const called = new Set<string>();
  const texts: string[] = [];
  for (const route of routes) {
    for (const { path, named } of pathsOf(route, who.names)) {
      texts.push(bytes(await ask(who, route, path, named, bodyOf(route))));
      called.add(route.operation_id);
    }
  }
  return { called, text: texts.join('\n') };
}

describe('canaries', () => {
  test('sing in the answers of the tenant they belong to, and nowhere in ours', async () => {
    const their_sweep = await sweep(theirs);
    const our_sweep = await sweep(ours);
    expect(our_sweep.called.size).toBe(routes.length);
    expect(their_sweep.text.split(canary).length).toBeGreaterThan(10);
    const [their_transaction = ''] = theirs.names.transaction ?? [];
    expect(their_sweep.text).toContain(their_transaction);

    expect(exchanges.length).toBeGreaterThan(60);
    const their_words = [canary, theirs.tenant_id, ...Object.values(theirs.names).flat()];
    const heard = exchanges.filter(({ asked, answered }) => {
      const rest = faceless(answered, asked);
      return their_words.some((each) => rest.toLowerCase().includes(each.toLowerCase()));
    });
    expect(heard.map(({ asked }) => asked)).toEqual([]);
  });

  test('are in no log line, whosever it is', () => {
    const lines = server
      .output()
      .split('\n')
      .filter((line) => line.includes('"request_id"'));
    expect(lines.length).toBeGreaterThan(100);
    expect(server.output().toLowerCase().includes(canary)).toBe(false);
  });
});

// After the hunt: from here on we have things that are called like theirs.
describe('what another tenant calls its own', () => {
  test('is free for us: codes, references, idempotency keys, assets', async () => {
    const account = { code: theirs.account_code, type: 'liability', currency: 'EUR' };
    expect((await ours.client.post('/v1/accounts', account, { key: theirs.idempotency_key })).status).toBe(
      201,
    );
    const entries = [
      { account: ours.account_code, direction: 'debit', amount: '1' },
      { account: theirs.account_code, direction: 'credit', amount: '1' },
    ];
    expect(
      (await ours.client.post('/v1/transactions', { entries, reference: theirs.reference })).status,
    ).toBe(201);
    const [currency = ''] = theirs.names.currency ?? [];
    expect((await ours.client.post('/v1/assets', { currency, scale: 3, name: 'Ours' })).status).toBe(201);
  });
});

describe('the database itself', () => {
  test('shows the process the rows of the tenant that is set, and none without', async () => {
    const tables = await asSuperuser(
      z.object({ name: z.string() }),
      `select attrelid::regclass::text as name
       from pg_attribute
       join pg_class on pg_class.oid = attrelid
       where attname = 'tenant_id' and relkind in ('r', 'p', 'v') and not relispartition
         and has_table_privilege('lattice_app', attrelid, 'select')`,
    );
    expect(tables.length).toBeGreaterThan(15);
    const CountSchema = z.object({ own: z.number(), others: z.number() });
    let seen = 0;
    for (const { name } of tables) {
      const text = `select count(*) filter (where tenant_id = $1)::integer as own,
          count(*) filter (where tenant_id <> $1)::integer as others
        from ${name}`;
      const [within] = await asRole('lattice_app', CountSchema, text, [ours.tenant_id], ours.tenant_id);
      const [without] = await asRole('lattice_app', CountSchema, text, [ours.tenant_id]);
      seen += within?.own ?? 0;
      expect({ name, others: within?.others, without }).toEqual({
        name,
        others: 0,
        without: { own: 0, others: 0 },
      });
    }
    expect(seen).toBeGreaterThan(20);
  });
});
