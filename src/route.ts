// A route is data: method, path, who may call it, the schemas of what goes in and out, the problems it can answer, and a handler.
// `main` collects the routes of all modules; the HTTP layer runs them; the OpenAPI document is generated from them.
import type { IncomingHttpHeaders } from 'node:http';
import type { z } from 'zod';
import type { Actor, Tx } from './db.ts';
import type { ProblemCode } from './errors.ts';
import type { BeginFeed } from './stream.ts';

export type Method = 'get' | 'post' | 'patch' | 'put' | 'delete';

/** What a principal must be allowed to do. `null` on a route means that any valid key may call it. */
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

export type MediaType = 'json' | 'ndjson';

/** A body's list whose items are judged one by one. */
export interface ItemList {
  field: string;
  /** as many are parsed */
  max: number;
}

/** What a handler gets: parsed by the route's schemas, so it can be trusted. */
export interface Input<Params = unknown, Query = unknown, Body = unknown> {
  principal: Principal;
  params: Params;
  query: Query;
  body: Body;
  /** of the body; null without one */
  media_type: MediaType | null;
  /** the request's target as the client sent it, for links and `instance` */
  url: string;
  /** names in lower case */
  headers: IncomingHttpHeaders;
}

/** What a handler answers. A string body is JSON text already, unless the headers give another Content-Type. */
export interface Reply {
  status: number;
  body: unknown;
  headers?: Record<string, string>;
  /**
   * The body without what may be shown once only. Given when the body holds a secret: the answer is then stored sealed
   * (access.sealAnswer), and a replay gives the whole body to the same API key and this one to any other.
   */
  redacted?: unknown;
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
  /** of strings, by the names in the path */
  params?: z.ZodType | undefined;
  /** a strict object of strings; `created_at[gte]=…` arrives as `{created_at: {gte: '…'}}` */
  query?: z.ZodType | undefined;
  /**
   * A refinement with `params: { problem: 'bulk_too_large' }` refuses with that problem instead of `invalid_request`,
   * one with `params: { code: 'expiry_ambiguous' }` names the field's error.
   */
  body?: z.ZodType | undefined;
  /** what the documentation shows instead of `body`, when parts of a body are checked one by one */
  documented_body?: z.ZodType;
  /** bytes; absent means 1 MiB */
  body_limit_bytes?: number;
  /** an example body that validates, shown in the documentation */
  example?: unknown;
  /** whether `text/csv` can be asked for in place of JSON */
  csv?: true;
  /** whether what it answers has an ETag */
  tagged?: true;
  /** status → schema of the body */
  responses: Record<number, z.ZodType>;
  /** beyond those every route can answer (see http/openapi.ts) */
  problems: ProblemCode[];
}

/** Runs in a read-only transaction of the principal's tenant. */
export interface ReadRoute extends Shape {
  kind: 'read';
  handler(tx: Tx, input: Input): Promise<Reply>;
}

/** Reads with one statement that takes its tenant as an argument (Database.call): one round trip. Gets no Tx. */
export interface CallRoute extends Shape {
  kind: 'call';
  handler(input: Input): Promise<Reply>;
}

/**
 * Runs in one transaction together with its idempotency key: key, event and effect commit together.
 * A thrown 409 or 422 is sticky: what the handler did is rolled back and the refusal is stored under the key.
 * What a handler does before that in a transaction of its own it does under a name made of `idempotency`, so that a repetition finds it done.
 */
export interface WriteRoute extends Shape {
  kind: 'write';
  handler(tx: Tx, input: Input, idempotency: Idempotency): Promise<Reply>;
  /**
   * What a 2xx promises beyond its own transaction, such as the books of a new tenant. Runs after the commit and again at each
   * replay, before the answer is sent, so a crash in between is resolved by repeating the request; doing it twice changes nothing.
   * `answer` is the JSON text of the answer, redacted if it holds a secret.
   */
  complete?(answer: string): Promise<void>;
}

/**
 * Posts through the group commit, or opens its own transactions. Gets no Tx, and stores the key itself with what it did:
 * an answer from the store carries `Idempotent-Replayed: true`, another request under the key is `idempotency_key_reused`.
 */
export interface PostRoute extends Shape {
  kind: 'post';
  handler(input: Input, idempotency: Idempotency): Promise<Reply>;
  /** An item that cannot be parsed is a Problem in its place. `application/x-ndjson` is accepted too, as a body of this list alone. */
  items?: ItemList;
}

/** Answers with server-sent events until one side ends it. The schemas of its responses are those of a message's `data`. */
export interface StreamRoute extends Shape {
  kind: 'stream';
  /** Refuses, or answers what begins to feed the stream. `resume_after` is the client's `Last-Event-ID`. */
  open(input: Input, resume_after: number | null): Promise<BeginFeed>;
}

export type Route = ReadRoute | CallRoute | WriteRoute | PostRoute | StreamRoute;

type Parsed<Schema> = Schema extends z.ZodType ? z.output<Schema> : undefined;

type Typed<Kind extends Route, Params, Query, Body> = Omit<
  Kind,
  'kind' | 'params' | 'query' | 'body' | 'handler' | 'open'
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
    handler(tx: Tx, input: Input<Parsed<Params>, Parsed<Query>, Parsed<Body>>): Promise<Reply>;
  },
): ReadRoute {
  return { ...route, kind: 'read' };
}

export function callRoute<
  Params extends z.ZodType | undefined = undefined,
  Query extends z.ZodType | undefined = undefined,
>(
  route: Typed<CallRoute, Params, Query, undefined> & {
    handler(input: Input<Parsed<Params>, Parsed<Query>, undefined>): Promise<Reply>;
  },
): CallRoute {
  return { ...route, kind: 'call' };
}

export function writeRoute<
  Params extends z.ZodType | undefined = undefined,
  Query extends z.ZodType | undefined = undefined,
  Body extends z.ZodType | undefined = undefined,
>(
  route: Typed<WriteRoute, Params, Query, Body> & {
    handler(
      tx: Tx,
      input: Input<Parsed<Params>, Parsed<Query>, Parsed<Body>>,
      idempotency: Idempotency,
    ): Promise<Reply>;
  },
): WriteRoute {
  return { ...route, kind: 'write' };
}

export function postRoute<
  Params extends z.ZodType | undefined = undefined,
  Query extends z.ZodType | undefined = undefined,
  Body extends z.ZodType | undefined = undefined,
>(
  route: Typed<PostRoute, Params, Query, Body> & {
    handler(
      input: Input<Parsed<Params>, Parsed<Query>, Parsed<Body>>,
      idempotency: Idempotency,
    ): Promise<Reply>;
  },
): PostRoute {
  return { ...route, kind: 'post' };
}

export function streamRoute<
  Params extends z.ZodType | undefined = undefined,
  Query extends z.ZodType | undefined = undefined,
>(
  route: Typed<StreamRoute, Params, Query, undefined> & {
    open(
      input: Input<Parsed<Params>, Parsed<Query>, undefined>,
      resume_after: number | null,
    ): Promise<BeginFeed>;
  },
): StreamRoute {
  return { ...route, kind: 'stream' };
}
