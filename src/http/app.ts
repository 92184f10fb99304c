// The HTTP surface: the routes of all modules, and beside them health, metrics, the OpenAPI document and its viewer.
import { readFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import express from 'express';
import { Problem } from '../errors.ts';
import type { Context, Module } from '../module.ts';
import type { Method } from '../route.ts';
import { createDocs } from './docs.ts';
import { Exchange } from './exchange.ts';
import { headRefusal } from './head.ts';
import { createReadiness } from './health.ts';
import { RequestMetrics } from './metrics.ts';
import { maySeeMetrics } from './metrics_access.ts';
import type { RenderStored } from './mutation.ts';
import { Pipeline } from './pipeline.ts';
import { type RateLimit, RateLimiter } from './rate_limit.ts';
import { type Match, Router } from './router.ts';
import { EventStreams } from './stream.ts';

export interface AppOptions {
  /** what the database lacks of this version; empty when it is current */
  schemaDifferences: () => Promise<string[]>;
}

const json = 'application/json';
/** As it is committed: what the routes say, which test/contract.test.ts holds it to. Making it anew would cost every start. */
const openapi_path = new URL('../../openapi/openapi.json', import.meta.url);

/** A quota of 0 is no limit. */
function maybeLimiter(limit: RateLimit): RateLimiter | null {
  return limit.quota === 0 ? null : new RateLimiter(limit);
}

export function createApp(context: Context, modules: Module[], options: AppOptions): RequestListener {
  const { config, database, logger, metrics, draining } = context;
  const router = new Router(modules.flatMap((module) => module.routes));
  const pipeline = new Pipeline({
    database,
    logger,
    metrics: new RequestMetrics(metrics),
    rate_limiter: maybeLimiter({
      name: 'key',
      quota: config.RATE_LIMIT_PER_SECOND,
      window_seconds: 1,
      detail: `A key may send ${config.RATE_LIMIT_PER_SECOND} requests a second`,
    }),
    failed_logins: maybeLimiter({
      name: 'failed-logins',
      quota: config.FAILED_LOGINS_PER_MINUTE,
      window_seconds: 60,
      detail: `An address may send ${config.FAILED_LOGINS_PER_MINUTE} keys a minute that are not valid`,
    }),
    renderStored: storedRenderer(modules),
    streams: new EventStreams({
      metrics,
      draining,
      per_key: config.STREAMS_PER_KEY,
      per_process: config.STREAMS_PER_PROCESS,
      watchKey: keyWatcher(modules),
    }),
  });
  const readiness = createReadiness(context, options.schemaDifferences);
  const openapi = readFileSync(openapi_path, 'utf8');

  const pages = new Map<string, (exchange: Exchange) => Promise<void> | void>([
    ['/livez', (exchange) => exchange.send(200, json, '{"status":"live"}')],
    [
      '/readyz',
      async (exchange) => {
        const { ready, checks } = await readiness();
        const status = ready ? 'ready' : 'not_ready';
        exchange.send(ready ? 200 : 503, json, JSON.stringify({ status, checks }));
      },
    ],
    [
      '/metrics',
      async (exchange) => {
        if (!maySeeMetrics(exchange.request, config.METRICS_TOKEN)) throw notFound();
        exchange.send(200, metrics.contentType, await metrics.metrics());
      },
    ],
    ['/openapi.json', (exchange) => exchange.send(200, json, openapi)],
    ['/', (exchange) => exchange.send(302, 'text/plain', 'See /docs\n', { Location: '/docs/' })],
  ]);

  async function servePage(exchange: Exchange, page: (exchange: Exchange) => Promise<void> | void) {
    exchange.route = exchange.path;
    try {
      if (!readsOnly(exchange)) return refuseMethod(exchange, ['get']);
      await page(exchange);
    } catch (error) {
      pipeline.refuse(exchange, error);
    }
  }

  function refuseMethod(exchange: Exchange, methods: Method[]): void {
    const allowed = methods.flatMap((method) =>
      method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()],
    );
    const Allow = [...allowed, 'OPTIONS'].join(', ');
    if (exchange.method === 'OPTIONS') {
      exchange.sendEmpty(204, { Allow });
      return;
    }
    const detail = `${exchange.method} is not one of ${Allow}`;
    pipeline.refuse(exchange, new Problem('method_not_allowed', detail, { headers: { Allow } }));
  }

  async function serveRoute(exchange: Exchange, match: Match): Promise<void> {
    const method = methodOf(exchange.method);
    const route = method === null ? undefined : match.routes[method];
    if (route === undefined) {
      return refuseMethod(
        exchange,
        Object.values(match.routes).map((each) => each.method),
      );
    }
    exchange.route = route.path;
    await pipeline.serve(exchange, route, match.params);
  }

  const viewer = express();
  viewer.disable('x-powered-by');
  viewer.use('/docs', createDocs());

  // In front of express, which would cost every posting as much as its JSON does.
  return (request, response) => {
    const exchange = new Exchange(request, response);
    exchange.closing = draining.aborted;
    const refusal = headRefusal(request);
    if (refusal !== null) return pipeline.refuse(exchange, refusal);
    const match = router.match(exchange.path);
    if (match !== null) return void serveRoute(exchange, match);
    const page = pages.get(exchange.path);
    if (page !== undefined) return void servePage(exchange, page);
    if (exchange.path === '/docs' || exchange.path.startsWith('/docs/')) {
      exchange.route = '/docs';
      if (!readsOnly(exchange)) return refuseMethod(exchange, ['get']);
      response.setHeader('Request-Id', exchange.request_id);
      return viewer(request, response);
    }
    pipeline.refuse(exchange, notFound());
  };
}

const methods: Record<string, Method> = {
  GET: 'get',
  HEAD: 'get',
  POST: 'post',
  PATCH: 'patch',
  PUT: 'put',
  DELETE: 'delete',
};

function methodOf(name: string): Method | null {
  return Object.hasOwn(methods, name) ? (methods[name] ?? null) : null;
}

function readsOnly({ method }: Exchange): boolean {
  return method === 'GET' || method === 'HEAD';
}

function notFound(): Problem {
  return new Problem('not_found', 'There is nothing at this path');
}

/** The module whose events are answers by themselves. */
function storedRenderer(modules: Module[]): RenderStored {
  for (const { renderStored } of modules) if (renderStored !== undefined) return renderStored;
  return () => Promise.reject(new Error('no module renders answers from events'));
}

/** The module that knows what becomes of keys. */
function keyWatcher(modules: Module[]): NonNullable<Module['watchKey']> {
  for (const { watchKey } of modules) if (watchKey !== undefined) return watchKey;
  return () => Promise.reject(new Error('no module watches keys'));
}
