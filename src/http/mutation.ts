// Requests that change something: nothing happens twice. The key comes before every check of the body.
import { type Database, platform_tenant_id } from '../db.ts';
import { keyReused, type Problem } from '../errors.ts';
import { hash16 } from '../hash.ts';
import { authenticate, openAnswer, redactedAnswer, sealAnswer } from '../modules/access/index.ts';
import { maybeStoredAnswer, type StoredAnswer, storeAnswer } from '../modules/log/index.ts';
import { Places } from '../places.ts';
import type { Idempotency, Input, PostRoute, Principal, Reply, WriteRoute } from '../route.ts';
import { presentedKey } from './auth.ts';
import { Bodies } from './body.ts';
import { bodyText, type Exchange } from './exchange.ts';
import { KeysInUse, parseIdempotencyKey, requestHash } from './idempotency.ts';
import { parseInput } from './input.ts';
import { isBeforeEvaluation, isSticky, renderProblem } from './problem.ts';

/** The answer of a stored key that has no body: an accepted posting, from its event. */
export type RenderStored = (tenant_id: string, stored: StoredAnswer) => Promise<string>;

/** requests of platform keys that wait for their turn */
const platform_max_waiting = 1_000;

/** Rolls back a transaction whose key another process has stored in the meantime. */
class KeyTaken extends Error {}

/** A mutating request, once it is admitted. */
interface Mutation {
  exchange: Exchange;
  principal: Principal;
  idempotency: Idempotency;
}

export class Mutations {
  readonly #database: Database;
  readonly #renderStored: RenderStored;
  readonly #bodies = new Bodies();
  readonly #keys = new KeysInUse();
  /**
   * What the platform does concerns other tenants, and asks for connections of theirs beside its own: a few such transactions
   * at a time, or all connections would be held by those that wait for another.
   */
  readonly #platform: Places;

  constructor(database: Database, renderStored: RenderStored) {
    this.#database = database;
    this.#renderStored = renderStored;
    this.#platform = new Places(Math.max(1, Math.floor(database.size / 4)), platform_max_waiting);
  }

  /** Errors, in order: those of the key, of the body, of its shape, of the handler. */
  async run(
    exchange: Exchange,
    route: WriteRoute | PostRoute,
    principal: Principal,
    params: Record<string, string>,
  ): Promise<Reply> {
    const key = parseIdempotencyKey(exchange.request.headers['idempotency-key']);
    const key_hash = hash16(key);
    const body = await this.#readBody(exchange, route, principal, key_hash);
    try {
      const request_hash = requestHash(exchange.method, exchange.url, body);
      const mutation = { exchange, principal, idempotency: { key, key_hash, request_hash } };
      return await this.#answer(route, mutation, params, body);
    } finally {
      this.#bodies.release(principal.tenant_id, body);
    }
  }

  /** Errors, in order: those of the body, or `idempotency_key_reused` in their place; `unauthenticated`, `tenant_suspended`. */
  async #readBody(
    exchange: Exchange,
    route: WriteRoute | PostRoute,
    principal: Principal,
    key_hash: string,
  ): Promise<Buffer> {
    const has_arrived = exchange.request.complete;
    let body: Buffer;
    try {
      body = await this.#bodies.read(exchange, principal.tenant_id, route.body_limit_bytes);
    } catch (error) {
      // A body that was not read has no hash, but nothing that long is stored: a known key was used for something else.
      if (isBeforeEvaluation(error) && (await this.#maybeStored(principal, key_hash)) !== null)
        throw keyReused();
      throw error;
    }
    try {
      // A minute may have passed since: a body that is held back must not outlive the revocation of its key.
      if (!has_arrived) await authenticate(this.#database, presentedKey(exchange.request));
      return body;
    } catch (error) {
      this.#bodies.release(principal.tenant_id, body);
      throw error;
    }
  }

  async #answer(
    route: WriteRoute | PostRoute,
    mutation: Mutation,
    params: Record<string, string>,
    body: Buffer,
  ): Promise<Reply> {
    const { exchange, principal, idempotency } = mutation;
    const { key_hash } = idempotency;
    const taken = this.#keys.take(principal.tenant_id, key_hash);
    try {
      const input = parseInput(route, exchange, principal, params, body);
      // Awaited here, so that the key stays taken until the answer is there.
      return route.kind === 'write'
        ? await this.#write(route, mutation, input)
        : await route.handler(input, idempotency);
    } catch (error) {
      if (!isBeforeEvaluation(error)) throw error;
      const stored = await this.#maybeStored(principal, key_hash);
      if (stored === null) throw error;
      // Once these bytes were understood: as another media type, of which the list of their items is made.
      if (route.kind === 'post' && route.items !== undefined && stored.status < 400) throw keyReused();
      return await this.#replay(mutation, stored);
    } finally {
      this.#keys.release(taken);
    }
  }

  async #write(route: WriteRoute, mutation: Mutation, input: Input): Promise<Reply> {
    const stored = () => this.#stored(route, mutation, input);
    const is_platform = mutation.principal.tenant_id === platform_tenant_id;
    const reply = await (is_platform ? this.#platform.hold(stored) : stored());
    if (route.complete !== undefined && reply.status < 300) {
      await route.complete(reply.redacted === undefined ? bodyText(reply.body) : bodyText(reply.redacted));
    }
    return reply;
  }

  /** Key, event and effect in one transaction; a refusal undoes it and is stored by itself. */
  async #stored(route: WriteRoute, mutation: Mutation, input: Input): Promise<Reply> {
    const { principal, idempotency } = mutation;
    try {
      return await this.#database.transaction(principal, async (tx) => {
        const stored = await maybeStoredAnswer(tx, idempotency.key_hash);
        if (stored !== null) return this.#replay(mutation, stored);
        const reply = await route.handler(tx, input, idempotency);
        const body = this.#storable(mutation, reply);
        if (!(await storeAnswer(tx, idempotency, { status: reply.status, body }))) throw new KeyTaken();
        return reply;
      });
    } catch (error) {
      if (error instanceof KeyTaken) return this.#replayOther(mutation);
      if (isSticky(error)) return this.#refuse(mutation, error);
      throw error;
    }
  }

  async #refuse(mutation: Mutation, problem: Problem): Promise<Reply> {
    const { exchange, principal, idempotency } = mutation;
    const body = renderProblem(problem, exchange.url, exchange.request_id);
    const is_ours = await this.#database.transaction(principal, (tx) =>
      storeAnswer(tx, idempotency, { status: problem.status, body }),
    );
    if (!is_ours) return this.#replayOther(mutation);
    return { status: problem.status, body, headers: problem.options.headers ?? {} };
  }

  /** What another process has stored while this one was at work. */
  async #replayOther(mutation: Mutation): Promise<Reply> {
    const stored = await this.#maybeStored(mutation.principal, mutation.idempotency.key_hash);
    if (stored === null) throw new Error('a stored key has disappeared');
    return this.#replay(mutation, stored);
  }

  async #replay(mutation: Mutation, stored: StoredAnswer): Promise<Reply> {
    const { exchange, principal, idempotency } = mutation;
    if (stored.request_hash !== idempotency.request_hash) throw keyReused();
    const headers = { 'Idempotent-Replayed': 'true' };
    const { status } = stored;
    if (stored.body === null) {
      return { status, headers, body: await this.#renderStored(principal.tenant_id, stored) };
    }
    const presented = authenticatedKey(exchange);
    const body = openAnswer(stored.body, { presented, key_hash: idempotency.key_hash });
    return { status, headers, body, redacted: redactedAnswer(stored.body) };
  }

  /** The text that is kept of an answer. */
  #storable({ exchange, idempotency }: Mutation, reply: Reply): string {
    const text = bodyText(reply.body);
    if (reply.redacted === undefined) return text;
    const presented = authenticatedKey(exchange);
    return sealAnswer(
      { text, redacted: bodyText(reply.redacted) },
      { presented, key_hash: idempotency.key_hash },
    );
  }

  async #maybeStored(principal: Principal, key_hash: string): Promise<StoredAnswer | null> {
    return this.#database.read(principal, (tx) => maybeStoredAnswer(tx, key_hash));
  }
}

/** The key that the request was authenticated with: whoever comes here has one. */
function authenticatedKey(exchange: Exchange): string {
  const presented = presentedKey(exchange.request);
  if (presented === undefined) throw new Error('a mutation without a key');
  return presented;
}
