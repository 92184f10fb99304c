// The OpenAPI 3.1 document, generated from the schemas that validate the requests. Deterministic: the committed file, which is what a
// server answers with, is compared with it.
import { readFileSync } from 'node:fs';
import type {
  OpenAPIObject,
  OperationObject,
  ParameterObject,
  PathItemObject,
  ReferenceObject,
  RequestBodyObject,
  ResponseObject,
  SchemaObject,
} from 'openapi3-ts/oas31';
import { z } from 'zod';
import { type ProblemCode, problems } from '../errors.ts';
import type { EventKind } from '../event.ts';
import type { Module } from '../module.ts';
import type { Route } from '../route.ts';
import { Components } from './components.ts';
import { problem_content_type } from './problem.ts';

const every_route: ProblemCode[] = [
  'invalid_request',
  'unauthenticated',
  'tenant_suspended',
  'rate_limited',
  'internal_error',
  'overloaded',
  'unavailable',
];
const every_mutation: ProblemCode[] = [
  'malformed_json',
  'idempotency_key_missing',
  'idempotency_key_invalid',
  'idempotency_key_in_use',
  'idempotency_key_reused',
  'request_timeout',
  'body_too_large',
  'unsupported_media_type',
];

function isMutation(route: Route): boolean {
  return route.kind === 'write' || route.kind === 'post';
}

const every_stream: ProblemCode[] = ['stream_limit_reached'];

/** The codes a route can answer: those of every route, those of its kind, its own. */
export function problemCodesOf(route: Route): ProblemCode[] {
  const codes = [
    ...every_route,
    ...(route.permission === null ? [] : (['forbidden'] as const)),
    ...(isMutation(route) ? every_mutation : []),
    ...(route.kind === 'stream' ? every_stream : []),
    ...route.problems,
  ];
  return [...new Set(codes)].sort();
}

export function createOpenApiDocument(modules: Module[]): OpenAPIObject {
  const routes = modules.flatMap((module) => module.routes);
  const components = new Components();
  const paths: Record<string, PathItemObject> = {};
  for (const route of routes) {
    paths[route.path] = { ...paths[route.path], [route.method]: operation(route, components) };
  }
  addEvents(
    modules.flatMap((module) => module.events),
    components,
  );
  return {
    openapi: '3.1.1',
    info: {
      title: 'Lattice',
      version: packageVersion(),
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      description: [
        'A double-entry ledger with exact balances, holds, reversals and a log of everything that happened.',
        '',
        'Amounts are strings of integer minor units. Every mutating request carries an `Idempotency-Key`; the same key and request',
        'answer the same bytes again. Every failure is `application/problem+json` with a `code` that does not change.',
        'Ignore fields that you do not know; fields that we do not know are refused.',
      ].join('\n'),
    },
    servers: [{ url: '/' }],
    security: [{ api_key: [] }],
    tags: [...new Set(routes.map((route) => route.tag))].map((name) => ({ name })),
    paths,
    components: {
      securitySchemes: {
        api_key: { type: 'http', scheme: 'bearer', bearerFormat: 'lk_live_… or lk_test_…' },
      },
      parameters: {
        IdempotencyKey: idempotency_key_parameter,
        IfMatch: if_match_parameter,
        LastEventId: last_event_id_parameter,
      },
      headers: response_headers,
      schemas: components.sorted(),
    },
  };
}

const idempotency_key_parameter: ParameterObject = {
  name: 'Idempotency-Key',
  in: 'header',
  required: true,
  description:
    'New for each new intent, the same for each repetition of a request. 1 to 255 visible ASCII characters, optionally quoted.',
  schema: { type: 'string', minLength: 1, maxLength: 257 },
  example: 'order-4711-capture',
};

const if_match_parameter: ParameterObject = {
  name: 'If-Match',
  in: 'header',
  required: false,
  description: 'The `ETag` of the state that is to be changed; another state answers 412.',
  schema: { type: 'string' },
};

const last_event_id_parameter: ParameterObject = {
  name: 'Last-Event-ID',
  in: 'header',
  required: false,
  description:
    'The `id` of the last message that was received; an EventSource sends it by itself when it comes back.',
  schema: { type: 'string', pattern: '^[0-9]+$' },
};

const response_headers = {
  RequestId: { description: 'Names this request in support and in logs', schema: { type: 'string' } },
  ETag: {
    description:
      'Of the state that this answers: for `If-Match` when it is changed. A replayed answer has none',
    schema: { type: 'string' },
  },
  IdempotentReplayed: {
    description: '`true` when the answer is the stored one of an earlier request with this key',
    schema: { type: 'string', enum: ['true'] },
  },
} satisfies Record<string, { description: string; schema: SchemaObject }>;

function operation(route: Route, components: Components): OperationObject {
  const codes = problemCodesOf(route);
  const is_mutating = isMutation(route);
  const parameters: (ParameterObject | ReferenceObject)[] = [
    ...parametersOf('path', route.params, components),
    ...parametersOf('query', route.query, components),
  ];
  if (is_mutating) parameters.push({ $ref: '#/components/parameters/IdempotencyKey' });
  if (route.kind === 'stream') parameters.push({ $ref: '#/components/parameters/LastEventId' });
  if (codes.includes('precondition_failed')) parameters.push({ $ref: '#/components/parameters/IfMatch' });
  return {
    operationId: route.operation_id,
    summary: route.summary,
    description: route.description,
    tags: [route.tag],
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(route.body === undefined ? {} : { requestBody: requestBody(route, route.body, components) }),
    responses: { ...answers(route, components, is_mutating), ...refusals(codes, components) },
  };
}

function requestBody(route: Route, body: z.ZodType, components: Components): RequestBodyObject {
  const example = route.example === undefined ? {} : { example: route.example };
  const takes_lines = route.kind === 'post' && route.items !== undefined;
  return {
    required: !body.safeParse(undefined).success,
    content: {
      'application/json': { schema: components.schema(route.documented_body ?? body, 'input'), ...example },
      ...(takes_lines
        ? { 'application/x-ndjson': { schema: { type: 'string', description: 'One item a line' } } }
        : {}),
    },
  };
}

function answers(route: Route, components: Components, is_mutating: boolean): Record<string, ResponseObject> {
  const headers = {
    'Request-Id': { $ref: '#/components/headers/RequestId' },
    ...(route.tagged === true ? { ETag: { $ref: '#/components/headers/ETag' } } : {}),
    ...(is_mutating ? { 'Idempotent-Replayed': { $ref: '#/components/headers/IdempotentReplayed' } } : {}),
  };
  return Object.fromEntries(
    Object.entries(route.responses).map(([status, schema]) => [
      status,
      {
        description: schema.description ?? 'Done',
        headers,
        content: {
          [mediaTypeOf(route)]: { schema: components.schema(schema, 'output') },
          ...(route.csv === true ? csv_content : {}),
        },
      },
    ]),
  );
}

const csv_content = {
  'text/csv': {
    schema: {
      type: 'string' as const,
      description:
        'RFC 4180, with the fields of an item as columns (those of an object within it as `posted_debits`), all rows unless `limit` is given; `Lattice-Position` tells the position',
    },
  },
};

/** Of a stream the schema is that of the `data` of a message. */
export function mediaTypeOf(route: Route): string {
  return route.kind === 'stream' ? 'text/event-stream' : 'application/json';
}

/** By status, the union of the problems with that status, told apart by `code`. */
function refusals(codes: ProblemCode[], components: Components): Record<string, ResponseObject> {
  const by_status = Map.groupBy(codes, (code) => problems[code].status);
  return Object.fromEntries(
    [...by_status].map(([status, same_status]) => {
      const references = same_status.map((code) => components.problem(code));
      return [
        String(status),
        {
          description: same_status.map((code) => `\`${code}\``).join(', '),
          headers: { 'Request-Id': { $ref: '#/components/headers/RequestId' } },
          content: {
            [problem_content_type]: {
              schema: {
                oneOf: references,
                discriminator: {
                  propertyName: 'code',
                  mapping: Object.fromEntries(
                    same_status.map((code) => [code, components.problem(code).$ref]),
                  ),
                },
              },
            },
          },
        },
      ];
    }),
  );
}

function parametersOf(
  place: 'path' | 'query',
  schema: z.ZodType | undefined,
  components: Components,
): ParameterObject[] {
  if (schema === undefined) return [];
  const { properties = {}, required = [] } = components.object(schema);
  return Object.entries(properties).map(([name, property]) => {
    const {
      description = '',
      example,
      ...rest
    } = { description: undefined, example: undefined, ...property };
    // `created_at[gte]=…`
    const is_nested = 'type' in rest && rest.type === 'object';
    // As an `example` it would be filled into the viewer's form, and every list would begin filtered.
    const is_shown = typeof example === 'string' && !description.includes(example);
    const words = is_shown ? `${description}; such as \`${example}\`` : description;
    return {
      name,
      in: place,
      required: place === 'path' || required.includes(name),
      ...(words === '' ? {} : { description: words }),
      ...(is_nested ? { style: 'deepObject' as const, explode: true } : {}),
      schema: rest,
    };
  });
}

/** The component `Event` becomes the union of all event types, each with the schema of its data. */
function addEvents(events: EventKind[], components: Components): void {
  const event = components.maybe('Event');
  if (event === undefined || events.length === 0) return;
  const sorted = events.toSorted((a, b) => (a.type < b.type ? -1 : 1));
  const names = sorted.map((kind) => `${pascalCase(kind.type)}Event`);
  for (const [index, kind] of sorted.entries()) {
    components.add(names[index] ?? kind.type, {
      ...event,
      description: kind.description,
      properties: {
        ...event.properties,
        type: { type: 'string', const: kind.type },
        data: components.schema(kind.data, 'output'),
      },
    });
  }
  components.add('UnknownEvent', {
    ...event,
    description:
      'An event of a type that is not listed here. While another process is being upgraded, one that does not know the type yet passes it on as it is: its `subject` is then a bare UUID, and no filter by account lets it through.',
    properties: {
      ...event.properties,
      type: { type: 'string', not: { enum: sorted.map(({ type }) => type) } },
    },
  });
  const references = [...names, 'UnknownEvent'].map((name) => ({ $ref: `#/components/schemas/${name}` }));
  components.add('Event', {
    ...(event.description === undefined ? {} : { description: event.description }),
    oneOf: references,
    discriminator: {
      propertyName: 'type',
      mapping: Object.fromEntries(
        sorted.map((kind, index) => [kind.type, `#/components/schemas/${names[index]}`]),
      ),
    },
  });
}

function pascalCase(dotted: string): string {
  return dotted.replace(/(?:^|[._])([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

const PackageSchema = z.object({ version: z.string() });

function packageVersion(): string {
  const path = new URL('../../package.json', import.meta.url);
  return PackageSchema.parse(JSON.parse(readFileSync(path, 'utf8'))).version;
}
