// Gate: the OpenAPI document is the committed one, is complete, and says of each route exactly what it can answer.
// That answers are as documented is checked on every answer of every test: test/support/client.ts.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createUnstartedModules, openApiText } from '../scripts/openapi.ts';
import { type ProblemCode, problems } from '../src/errors.ts';
import { createOpenApiDocument, mediaTypeOf, problemCodesOf } from '../src/http/openapi.ts';
import { Contract, DocumentSchema } from './support/contract.ts';
import { listFiles, readSource, root } from './support/source.ts';
import { module_order } from './support/tidy.ts';

const modules = createUnstartedModules();
const routes = modules.flatMap((module) => module.routes);
const document = DocumentSchema.parse(JSON.parse(openApiText()));
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
);
const contract = new Contract(document);

/** Problems that are answered before a route is known. */
const without_route: ProblemCode[] = ['method_not_allowed', 'expectation_failed'];

test('openapi/openapi.json is what the routes say; `npm run generate` writes it', () => {
  const committed = readFileSync(join(root, 'openapi', 'openapi.json'), 'utf8');
  expect(committed === openApiText(), 'stale: npm run generate').toBe(true);
});

test('the modules are assembled in their order', () => {
  // What runs their jobs comes after all of them.
  expect(modules.map(({ name }) => name)).toEqual([...module_order, 'jobs']);
});

describe('every route', () => {
  test('is documented, and nothing else is', () => {
    expect(routes.length).toBeGreaterThan(35);
    const declared = routes.map(({ method, path, operation_id }) => `${method} ${path} ${operation_id}`);
    const documented = operations.map(
      ({ method, path, operation }) => `${method} ${path} ${operation.operationId}`,
    );
    expect(documented.sort()).toEqual(declared.sort());
    const ids = routes.map(({ operation_id }) => operation_id);
    expect([...ids].sort()).toEqual([...new Set(ids)].sort());
  });

  test.each(routes)('$operation_id documents each of its problems, and no other', (route) => {
    const operation = document.paths[route.path]?.[route.method];
    const documented = Object.entries(operation?.responses ?? {}).flatMap(([status, { content }]) => {
      const schema = content?.['application/problem+json']?.schema;
      const names = [...JSON.stringify(schema ?? {}).matchAll(/"([a-z_]+)":"#\/components\/schemas\/\w+"/g)];
      return names.map(([, code]) => `${status} ${code}`);
    });
    const expected = problemCodesOf(route).map((code) => `${problems[code].status} ${code}`);
    expect(expected.length).toBeGreaterThan(5);
    expect(documented.sort()).toEqual(expected.sort());
    const succeeds = Object.keys(operation?.responses ?? {}).filter((status) => status.startsWith('2'));
    expect(succeeds).toEqual(Object.keys(route.responses).sort());
  });

  test.each(routes.filter(({ body }) => body !== undefined))(
    '$operation_id shows a body that it takes',
    ({ body, example, path, method }) => {
      const is_optional = body?.safeParse(undefined).success === true;
      expect(is_optional || example !== undefined).toBe(true);
      if (example === undefined) return;
      expect(body?.safeParse(example).error).toBeUndefined();
      const place = ['paths', path, method, 'requestBody', 'content', 'application/json', 'schema'];
      expect(contract.refusal(place, example)).toBeNull();
    },
  );

  test.each(routes)('$operation_id has schemas that can be checked against', (route) => {
    const { path, method, responses } = route;
    for (const status of Object.keys(responses)) {
      const place = ['paths', path, method, 'responses', status, 'content', mediaTypeOf(route), 'schema'];
      expect(contract.refusal(place, 'not an object')).not.toBeNull();
    }
  });
});

test('every problem is documented by a route that can answer it', () => {
  const documented = new Set([...routes.flatMap(problemCodesOf), ...without_route]);
  expect(Object.keys(problems).filter((code) => ![...documented].some((known) => known === code))).toEqual(
    [],
  );
});

test('every problem is said somewhere: in the code, or as a constraint', () => {
  const files = listFiles().filter(
    (path) => /^(src|sql)\/.*\.(ts|sql)$/.test(path) && path !== 'src/errors.ts',
  );
  const said = files.map((path) => readSource(path).text).join('\n');
  const unsaid = Object.keys(problems).filter(
    (code) => !new RegExp(`['"]${code}['"]|(constraint|index) ${code}\\b`).test(said),
  );
  expect(unsaid).toEqual([]);
});

test('every event has a dotted type in the past tense and a schema in the document', () => {
  const kinds = modules.flatMap(({ name, events }) => events.map((kind) => ({ name, kind })));
  expect(kinds.length).toBeGreaterThan(10);
  const text = openApiText();
  for (const { name, kind } of kinds) {
    expect(kind.type).toMatch(new RegExp(`^${name}\\.([a-z]+_)+([a-z]*ed|held|set)$`));
    expect(text.includes(`"const": "${kind.type}"`), kind.type).toBe(true);
  }
});

describe('an answer that the document does not promise', () => {
  const given = (status: number, body: unknown) => ({
    status,
    body,
    text: JSON.stringify(body),
    headers: new Headers({ 'Content-Type': status < 400 ? 'application/json' : 'application/problem+json' }),
  });
  const problem = (code: ProblemCode) => ({
    type: `https://lattice.example/problems/${code}`,
    code,
    title: problems[code].title,
    status: problems[code].status,
    detail: 'd',
    instance: '/v1/me',
    request_id: 'r',
    retryable: problems[code].retryable ?? false,
  });

  test('is found', () => {
    contract.check('GET', '/v1/me', given(401, problem('unauthenticated')));
    expect(() => contract.check('GET', '/v1/nothing', given(200, {}))).toThrow('not in the document');
    expect(() => contract.check('GET', '/v1/me', given(418, {}))).toThrow('documents no such status');
    expect(() => contract.check('GET', '/v1/me', given(401, problem('forbidden')))).toThrow('code');
    expect(() =>
      contract.check('GET', '/v1/me', given(401, { ...problem('unauthenticated'), hint: 1 })),
    ).toThrow('additional');
    expect(() => contract.check('GET', '/v1/me', given(200, {}))).toThrow('required');
  });
});

test('a document that differs is found', () => {
  const fewer = createOpenApiDocument(modules.slice(1));
  expect(JSON.stringify(fewer, null, 2) === openApiText().trim()).toBe(false);
});
