// A dashboard's own server: it keeps the API key, serves the page, and passes on what the page asks of Lattice. In production a reverse
// proxy passes the stream on; what it must do is what `passOn` does, and no more: nothing collected, nothing compressed.
//
//   node examples/live-balances/serve.ts [--url http://127.0.0.1:8420] [--key lk_…] [--port 8421]
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { stripTypeScriptTypes } from 'node:module';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { findTarget } from '../target.ts';

export interface DashboardOptions {
  /** of Lattice */
  url: string;
  /** may read events and accounts; an auditor's is enough */
  api_key: string;
}

/** A server that is not listening yet. */
export async function createDashboard({ url, api_key }: DashboardOptions): Promise<Server> {
  const page = await readFile(join(import.meta.dirname, 'page.html'), 'utf8');
  const source = await readFile(join(import.meta.dirname, 'follow.ts'), 'utf8');
  const script = stripTypeScriptTypes(source);
  const authorization = `Bearer ${api_key}`;

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const target = request.url ?? '/';
    const path = target.split('?')[0];
    if (path === '/') return send(response, 'text/html; charset=utf-8', page);
    if (path === '/follow.js') return send(response, 'text/javascript; charset=utf-8', script);
    if (path === '/tickets' && request.method === 'POST') {
      const body = JSON.stringify({ path: await textOf(request) });
      const headers = { 'Content-Type': 'application/json', 'Idempotency-Key': crypto.randomUUID() };
      return passOn('/v1/stream_tickets', { method: 'POST', headers, body }, response);
    }
    if (path === '/v1/balances') return passOn(target, {}, response);
    // The ticket stands for the key here.
    if (path === '/v1/events/stream') return passOn(target, { headers: idOf(request) }, response, null);
    response.writeHead(404).end();
  }

  async function passOn(
    target: string,
    { headers = {}, ...options }: { method?: string; headers?: Record<string, string>; body?: string },
    response: ServerResponse,
    as: string | null = authorization,
  ): Promise<void> {
    const leaving = new AbortController();
    response.once('close', () => leaving.abort());
    const answered = await fetch(new URL(target, url), {
      ...options,
      headers: as === null ? headers : { ...headers, Authorization: as },
      signal: leaving.signal,
    });
    const type = answered.headers.get('content-type') ?? 'application/octet-stream';
    response.writeHead(answered.status, { 'Content-Type': type, 'Cache-Control': 'no-store' });
    response.flushHeaders();
    if (answered.body === null) response.end();
    else await pipeline(Readable.fromWeb(answered.body), response);
  }

  return createServer((request, response) => {
    answer(request, response).catch(() => {
      // Lattice is away, or the page is: the page tries again.
      if (response.headersSent) response.destroy();
      else response.writeHead(502).end();
    });
  });
}

function send(response: ServerResponse, type: string, text: string): void {
  response.writeHead(200, { 'Content-Type': type, 'Cache-Control': 'no-store' }).end(text);
}

function idOf({ headers }: IncomingMessage): Record<string, string> {
  const id = headers['last-event-id'];
  return typeof id === 'string' ? { 'Last-Event-ID': id } : {};
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString();
}

if (import.meta.main) {
  try {
    const { values } = parseArgs({
      options: {
        url: { type: 'string' },
        key: { type: 'string' },
        port: { type: 'string', default: '8421' },
      },
    });
    const port = z.coerce.number().int().min(0).max(65_535).safeParse(values.port);
    if (!port.success) throw new Error(`--port is a number up to 65535, not ${values.port}`);
    const dashboard = await createDashboard(findTarget(values.url, values.key));
    dashboard.listen(port.data, '127.0.0.1');
    await once(dashboard, 'listening');
    const address = dashboard.address();
    console.log(`http://127.0.0.1:${typeof address === 'object' ? address?.port : port.data}/`);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}
