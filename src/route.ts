// A route is data: method, path, who may call it, the schemas of what goes in and out, the problems it can answer, and a handler.
// `main` collects the routes of all modules; the HTTP layer runs them; the OpenAPI document is generated from them.
import type { z } from 'zod';
import type { Actor, Tx } from './db.ts';
import type { ProblemCode } from './errors.ts';

export type Method = 'get' | 'post' | 'patch' | 'put' | 'delete';

/** What a principal must be allowed to do. `null` on a route means that no key is needed. */
export interface Permission {
  action: 'read' | 'create' | 'update' | 'force';
  /** a noun: `transaction`, `account`, `key`, `tenant` … */
  subject: string;
}

/** The holder of an API key, as authenticated. */
export interface Principal extends Actor {
  role: string;
  can: (permission: Permission) => boolean;
}

/** What a handler gets: parsed by the route's schemas, so it can be trusted. */
export interface Input<Params = unknown, Query = unknown, Body = unknown> {
  principal: Principal;
  params: Params;
  query: Query;
  body: Body;
  /** the request's target as the client sent it, for links and `instance` */
  url: string;
  headers: Record<string, string | undefined>;
}

/** What a handler answers. A string body is JSON text already. */
export interface Reply {
  status: number;
  body: unknown;
  headers?: Record<string, string>;
}

/** A mutating request's key and fingerprint, already parsed. */
export interface Idempotency {
  /** 16-byte hash of the key, as uuid text */
  key_hash: string;
  /** 16-byte hash of method, path with query, and body, as uuid text */
  request_hash: string;
  /** the key as sent, from which keys of bulk items derive */
  key: string;
}

interface Shape {
  method: Method;
  /** OpenAPI form: `/v1/accounts/{account}` */
  path: string;
  operation_id: string;
  summary: string;
  description: string;
  tag: string;
  permission: Permission | null;
  params?: z.ZodType;
  query?: z.ZodType;
  body?: z.ZodType;
  /** an example body that validates, shown in the documentation */
  example?: unknown;
  /** status → schema of the body */
  responses: Record<number, z.ZodType>;
  /** beyond those every route can answer (see http/openapi.ts) */
  problems: ProblemCode[];
}

/** Runs in a read-only transaction of the principal's tenant. */
export interface ReadRoute extends Shape {
  kind: 'read';
  handler: (tx: Tx, input: Input<never, never, never>) => Promise<Reply>;
}

/** Runs in one transaction together with its idempotency key: key, event and effect commit together. */
export interface WriteRoute extends Shape {
  kind: 'write';
  handler: (tx: Tx, input: Input<never, never, never>) => Promise<Reply>;
}

/** Posts through the group commit, which stores the key itself, or opens its own transactions. Gets no Tx. */
export interface PostRoute extends Shape {
  kind: 'post';
  handler: (input: Input<never, never, never>, idempotency: Idempotency) => Promise<Reply>;
  /** whether `application/x-ndjson` is accepted too; the body is then an array of the lines */
  ndjson?: true;
}

export type Route = ReadRoute | WriteRoute | PostRoute;

type Parsed<Schema> = Schema extends z.ZodType ? z.output<Schema> : undefined;

type Typed<Kind extends Route, Params, Query, Body> = Omit<
  Kind,
  'kind' | 'params' | 'query' | 'body' | 'handler'
> & {
  params?: Params;
  query?: Query;
  body?: Body;
};

/** Ties the handler's input to the schemas of the route. */
export function readRoute<
  Params extends z.ZodType | undefined = undefined,
  Query extends z.ZodType | undefined = undefined,
  Body extends z.ZodType | undefined = undefined,
>(
  route: Typed<ReadRoute, Params, Query, Body> & {
    handler: (tx: Tx, input: Input<Parsed<Params>, Parsed<Query>, Parsed<Body>>) => Promise<Reply>;
  },
): ReadRoute {
  return { ...route, kind: 'read' } as ReadRoute;
}

export function writeRoute<
  Params extends z.ZodType | undefined = undefined,
  Query extends z.ZodType | undefined = undefined,
  Body extends z.ZodType | undefined = undefined,
>(
  route: Typed<WriteRoute, Params, Query, Body> & {
    handler: (tx: Tx, input: Input<Parsed<Params>, Parsed<Query>, Parsed<Body>>) => Promise<Reply>;
  },
): WriteRoute {
  return { ...route, kind: 'write' } as WriteRoute;
}

export function postRoute<
  Params extends z.ZodType | undefined = undefined,
  Query extends z.ZodType | undefined = undefined,
  Body extends z.ZodType | undefined = undefined,
>(
  route: Typed<PostRoute, Params, Query, Body> & {
    handler: (
      input: Input<Parsed<Params>, Parsed<Query>, Parsed<Body>>,
      idempotency: Idempotency,
    ) => Promise<Reply>;
  },
): PostRoute {
  return { ...route, kind: 'post' } as PostRoute;
}
