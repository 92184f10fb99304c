// The process as a server: modules, HTTP listeners in front of them, and how both end without cutting anybody off.
import { collectDefaultMetrics, Registry } from 'prom-client';
import type { Config } from '../config.ts';
import { Database } from '../db.ts';
import { createApp } from '../http/app.ts';
import type { HttpServer } from '../http/connections.ts';
import { createHttpServer } from '../http/server.ts';
import type { Logger } from '../log.ts';
import { schemaDifferences } from '../migrate.ts';
import { createModules } from '../modules.ts';

/** No request takes longer; what is still open then is cut. */
const drain_timeout_ms = 30_000;
/** A connection that has asked nothing may be about to. */
const unused_timeout_ms = 500;
/** While draining, a connection whose answer has gone out is closed this soon. */
const idle_check_ms = 10;

export interface LatticeServer {
  database: Database;
  /** Takes requests on an address; answers its URL as a client on this machine calls it. */
  listen: (host: string, port: number) => Promise<string>;
  /** Lets `work` call the server before anybody else can: on a port of its own, which is gone afterwards. */
  within: <Result>(work: (url: string) => Promise<Result>) => Promise<Result>;
  /** Stops listening, lets requests under way finish, then stops the modules and gives the connections back. */
  close: () => Promise<void>;
}

/** Everything but the listening: nothing is taken before `listen`. */
export async function openServer(config: Config, app_url: string, logger: Logger): Promise<LatticeServer> {
  const draining = new AbortController();
  const database = new Database({
    connection_string: app_url,
    size: config.DATABASE_POOL_SIZE,
    application_name: 'lattice',
    logger,
  });
  const metrics = new Registry();
  // Of the process itself: memory, processor time, delay of the event loop.
  collectDefaultMetrics({ register: metrics });
  const context = { config, database, logger, metrics, draining: draining.signal };
  const modules = createModules(context);
  const app = createApp(context, modules, { schemaDifferences: () => schemaDifferences(app_url) });
  for (const module of modules) await module.start?.();
  const listening: HttpServer[] = [];
  const open = async (host: string, port: number) => {
    const server = createHttpServer(app);
    await listen(server, host, port);
    listening.push(server);
    return server;
  };
  return {
    database,
    listen: async (host, port) => urlOf(await open(host, port), host),
    within: async (work) => {
      const server = await open('127.0.0.1', 0);
      try {
        return await work(urlOf(server, '127.0.0.1'));
      } finally {
        await drain(server);
      }
    },
    close: async () => {
      draining.abort();
      await Promise.all(listening.map(drain));
      for (const module of modules.toReversed()) await module.stop?.();
      await database.end();
    },
  };
}

/** Says at once that an address cannot be had, before anything is started for it. */
export async function probeAddress(host: string, port: number): Promise<void> {
  if (port === 0) return;
  const probe = createHttpServer(() => {});
  await listen(probe, host, port);
  await drain(probe);
}

async function listen(server: HttpServer, host: string, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, resolve);
  }).catch((error: unknown) => {
    throw listenError(error, host, port);
  });
}

function listenError(error: unknown, host: string, port: number): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'EADDRINUSE') {
    return new Error(`port ${port} on ${host} is taken: stop what listens there, or set PORT to another`);
  }
  if (code === 'EACCES')
    return new Error(`port ${port} needs rights that this process has not: set PORT to 1024 or above`);
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') {
    return new Error(`HOST ${host} is not an address of this machine`);
  }
  return error;
}

function urlOf(server: HttpServer, host: string): string {
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('the server has no address');
  // An address that stands for all of them is not one that can be called.
  const reachable = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${bound.port}`;
}

async function drain(server: HttpServer): Promise<void> {
  if (!server.listening) return;
  const closed = new Promise((resolve) => server.close(resolve));
  const closing_idle = setInterval(() => server.closeIdleConnections(), idle_check_ms);
  const closing_unused = setTimeout(() => server.closeUnusedConnections(), unused_timeout_ms);
  const cutting = setTimeout(() => server.closeAllConnections(), drain_timeout_ms);
  await closed;
  clearInterval(closing_idle);
  clearTimeout(closing_unused);
  clearTimeout(cutting);
}
