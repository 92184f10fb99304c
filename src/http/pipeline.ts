// What every request passes, in this order: authenticate, rate limit, authorise, idempotency key, body, shape, handler, answer.
// One straight line per request, without middleware: this is the hottest path outside the ledger.
import type { Database } from '../db.ts';
import { Problem } from '../errors.ts';
import type { Logger } from '../log.ts';
import { authenticate, findTicket, type Holder, takeTicket } from '../modules/access/index.ts';
import type { CallRoute, Permission, Principal, ReadRoute, Reply, Route, StreamRoute } from '../route.ts';
import { presentedKey, presentedTicket } from './auth.ts';
import { ClientGone, no_body } from './body.ts';
import type { Exchange } from './exchange.ts';
import { parseInput } from './input.ts';
import type { RequestMetrics } from './metrics.ts';
import { Mutations, type RenderStored } from './mutation.ts';
import { problem_content_type, renderProblem, toProblem } from './problem.ts';
import { networkOf, type RateLimiter } from './rate_limit.ts';
import { recordRequest } from './request_log.ts';
import { Shares } from './shares.ts';
import type { EventStreams } from './stream.ts';

/** requests in work at once, of one process, half of them of one tenant; what waits behind them would time out anyway */
const max_in_flight = 10_000;
/** what other servers log for a client that left before its answer */
const status_client_gone = 499;

export interface PipelineOptions {
  database: Database;
  logger: Logger;
  metrics: RequestMetrics;
  /** of API keys; null when off */
  rate_limiter: RateLimiter | null;
  /** of addresses whose keys or tickets are none; null when off */
  failed_logins: RateLimiter | null;
  renderStored: RenderStored;
  streams: EventStreams;
}

export class Pipeline {
  readonly #options: PipelineOptions;
  readonly #mutations: Mutations;
  readonly #shares = new Shares(max_in_flight);
  #in_flight = 0;

  constructor(options: PipelineOptions) {
    this.#options = options;
    this.#mutations = new Mutations(options.database, options.renderStored);
  }

  async serve(exchange: Exchange, route: Route, params: Record<string, string>): Promise<void> {
    this.#in_flight += 1;
    try {
      if (route.kind === 'stream') await this.#stream(exchange, route, params);
      else exchange.reply(await this.#reply(exchange, route, params));
      recordRequest(exchange, this.#options.logger, this.#options.metrics);
    } catch (error) {
      this.refuse(exchange, error);
    } finally {
      this.#in_flight -= 1;
    }
  }

  /** Answers a failure, whatever it is; the one place where an unexpected one is logged. */
  refuse(exchange: Exchange, error: unknown): void {
    const { logger, metrics } = this.#options;
    if (error instanceof ClientGone) {
      exchange.status = status_client_gone;
      recordRequest(exchange, logger, metrics);
      return;
    }
    const problem = toProblem(error);
    const text = renderProblem(problem, exchange.url, exchange.request_id);
    exchange.send(problem.status, problem_content_type, text, problem.options.headers);
    // Who floods must not fill the log as well: how often it happens is a metric.
    const is_failure = problem.status >= 500 && problem.code !== 'overloaded';
    recordRequest(exchange, logger, metrics, is_failure ? error : undefined);
  }

  async #reply(
    exchange: Exchange,
    route: Exclude<Route, StreamRoute>,
    params: Record<string, string>,
  ): Promise<Reply> {
    if (this.#in_flight > max_in_flight) throw overloaded();
    const presented = presentedKey(exchange.request);
    const holder = await this.#login(exchange, presented, authenticate(this.#options.database, presented));
    const principal = this.#admit(exchange, holder, route.permission);
    if (!this.#shares.take(principal.tenant_id, 1)) throw overloaded();
    try {
      return route.kind === 'read' || route.kind === 'call'
        ? await this.#read(exchange, route, principal, params)
        : await this.#mutations.run(exchange, route, principal, params);
    } finally {
      this.#shares.giveBack(principal.tenant_id, 1);
    }
  }

  /** Done when the stream is open: it is no request in work any more. */
  async #stream(exchange: Exchange, route: StreamRoute, params: Record<string, string>): Promise<void> {
    const { database, streams } = this.#options;
    if (this.#in_flight > max_in_flight) throw overloaded();
    const presented = presentedKey(exchange.request);
    const ticket = presented === undefined ? presentedTicket(exchange.search) : undefined;
    const login =
      ticket === undefined ? authenticate(database, presented) : findTicket(database, ticket, exchange.url);
    const holder = await this.#login(exchange, ticket ?? presented, login);
    const principal = this.#admit(exchange, holder, route.permission);
    const input = parseInput(route, exchange, principal, params, no_body);
    await streams.open(exchange, principal, async (resume_after) => {
      const begin = await route.open(input, resume_after);
      // Last of all: a stream that is refused until now has not used it up, and the same URL may be tried again.
      if (ticket !== undefined) await takeTicket(database, ticket, exchange.url);
      return begin;
    });
  }

  /**
   * Counts failures only, and after the fact: whoever shares an address with somebody who fails, such as that of a proxy, is let in with a
   * valid key. A request without a key is no attempt. Errors: those of the login, `rate_limited` in place of `unauthenticated`.
   */
  async #login(exchange: Exchange, presented: string | undefined, login: Promise<Holder>): Promise<Holder> {
    try {
      return await login;
    } catch (error) {
      const { failed_logins } = this.#options;
      const is_failure =
        presented !== undefined && error instanceof Problem && error.code === 'unauthenticated';
      if (is_failure && failed_logins !== null) {
        const { remoteAddress = 'gone' } = exchange.request.socket;
        exchange.rate_headers = failed_logins.take(networkOf(remoteAddress), exchange.started_ms);
      }
      throw error;
    }
  }

  /** Errors, in order: `rate_limited`, `forbidden`. */
  #admit(exchange: Exchange, holder: Holder, permission: Permission | null): Principal {
    const { rate_limiter } = this.#options;
    exchange.holder = holder;
    if (rate_limiter !== null) {
      exchange.rate_headers = rate_limiter.take(holder.actor_id, exchange.started_ms);
    }
    if (permission !== null && !holder.can(permission)) throw forbidden(permission);
    return {
      tenant_id: holder.tenant_id,
      actor_id: holder.actor_id,
      request_id: exchange.request_id,
      role: holder.role,
      can: holder.can,
    };
  }

  async #read(
    exchange: Exchange,
    route: ReadRoute | CallRoute,
    principal: Principal,
    params: Record<string, string>,
  ): Promise<Reply> {
    const input = parseInput(route, exchange, principal, params, no_body);
    return route.kind === 'call'
      ? route.handler(input)
      : this.#options.database.read(principal, (tx) => route.handler(tx, input));
  }
}

function forbidden({ action, subject }: Permission): Problem {
  return new Problem('forbidden', `This needs a key that may ${action} ${subject}`, {
    extras: { required_permission: `${action}:${subject}` },
  });
}

function overloaded(): Problem {
  return new Problem('overloaded', 'Too many requests are in work', { headers: { 'Retry-After': '1' } });
}
