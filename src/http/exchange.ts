// One request and its answer: identity, clock, and the only place that writes to the socket.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { encodeId, newUuid } from '../id.ts';
import type { Holder } from '../modules/access/index.ts';
import type { Reply } from '../route.ts';
import { originForm } from './head.ts';
import { problem_content_type } from './problem.ts';

/** What a browser must not do with an answer of the API, whatever made it ask. */
const fixed_headers = [
  ['Cache-Control', 'no-store'],
  ['Content-Security-Policy', "default-src 'none'; frame-ancestors 'none'"],
  ['Referrer-Policy', 'no-referrer'],
  ['Strict-Transport-Security', 'max-age=31536000'],
  ['X-Content-Type-Options', 'nosniff'],
].flat();

/** an unread body up to this is dropped without a word */
const short_rest_bytes = 64 * 1024;
/** how long and how much of an unread body is taken in after the answer, so that the client reads the answer instead of a reset */
const linger_ms = 2_000;
const linger_bytes = 8 * 1024 * 1024;

export class Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly request_id = encodeId('request', newUuid());
  readonly started_ms = performance.now();
  readonly method: string;
  /** the target without and with its query */
  readonly path: string;
  readonly url: string;
  /** the template of the route, a bounded label */
  route = 'unmatched';
  holder: Holder | null = null;
  /** whether the connection ends with this answer */
  closing = false;
  /** set when rate limits are on */
  rate_headers: readonly string[] | null = null;
  status = 0;

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.request = request;
    this.response = response;
    this.method = request.method ?? 'GET';
    this.url = originForm(request.url ?? '/');
    const query_start = this.url.indexOf('?');
    this.path = query_start === -1 ? this.url : this.url.slice(0, query_start);
  }

  /** the query without its `?` */
  get search(): string {
    return this.url.slice(this.path.length + 1);
  }

  elapsedMs(): number {
    return performance.now() - this.started_ms;
  }

  /** Sends what a handler answered. */
  reply(reply: Reply): void {
    const { status, headers } = reply;
    const usual_type = status >= 400 ? problem_content_type : 'application/json';
    this.send(status, headers?.['Content-Type'] ?? usual_type, bodyText(reply.body), headers);
  }

  /** Sends a head only. */
  sendEmpty(status: 204, headers: Record<string, string>): void {
    this.#write(status, [], '', 'latin1', headers);
  }

  send(status: number, content_type: string, body: string, more?: Record<string, string>): void {
    const length_bytes = Buffer.byteLength(body);
    // Text that is all ASCII goes out with its head in one write, and without being encoded.
    const encoding = length_bytes === body.length ? 'latin1' : 'utf8';
    this.#write(status, ['Content-Type', content_type, 'Content-Length', length_bytes], body, encoding, more);
  }

  /** Sends the head of an answer without an end that is known: its end is that of the connection. */
  beginStream(more: Record<string, string>): void {
    const { response } = this;
    this.status = 200;
    // Chunks would be a second framing around messages, and cost each of them a copy.
    response.useChunkedEncodingByDefault = false;
    const headers: string[] = ['Connection', 'close', 'Request-Id', this.request_id];
    for (let index = 0; index < fixed_headers.length; index += 2) {
      const [name = '', value = ''] = fixed_headers.slice(index, index + 2);
      if (more[name] === undefined) headers.push(name, value);
    }
    for (const [name, value] of Object.entries(more)) headers.push(name, value);
    if (this.rate_headers !== null) headers.push(...this.rate_headers);
    response.writeHead(200, headers);
    response.flushHeaders();
  }

  #write(
    status: number,
    headers: (string | number)[],
    body: string,
    encoding: 'latin1' | 'utf8',
    more: Record<string, string> = {},
  ): void {
    const { response } = this;
    this.status = status;
    // The client has gone, or a stream has begun: there is nobody to answer.
    if (response.headersSent || response.destroyed) return;
    headers.push('Request-Id', this.request_id, ...fixed_headers);
    if (this.rate_headers !== null) headers.push(...this.rate_headers);
    for (const name in more) {
      const value = more[name];
      if (value !== undefined && name !== 'Content-Type') headers.push(name, value);
    }
    const is_unread = hasLongRest(this.request);
    if (is_unread || this.closing) headers.push('Connection', 'close');
    response.writeHead(status, headers);
    if (is_unread) this.#endAfterLinger(body);
    else response.end(body, encoding);
  }

  /** Closing with bytes unread would reset the connection and lose the answer on its way: so some of them are read and dropped first. */
  #endAfterLinger(body: string): void {
    const { request, response } = this;
    response.write(body);
    let taken_bytes = 0;
    const end = () => {
      clearTimeout(timer);
      request.removeAllListeners('data');
      response.end();
    };
    const timer = setTimeout(end, linger_ms);
    request.on('data', (chunk: Buffer) => {
      taken_bytes += chunk.length;
      if (taken_bytes > linger_bytes) end();
    });
    request.once('close', end);
    request.once('end', end);
    request.once('error', end);
    request.resume();
  }
}

/** Whether more of the body is still to come than is worth taking in to keep the connection. */
function hasLongRest(request: IncomingMessage): boolean {
  if (request.complete) return false;
  const declared = request.headers['content-length'];
  if (declared !== undefined) return Number(declared) > short_rest_bytes;
  return request.headers['transfer-encoding'] !== undefined;
}

/** The JSON text of a reply's body. */
export function bodyText(body: unknown): string {
  return typeof body === 'string' ? body : JSON.stringify(body);
}
