// The only file that calls out. Whoever may name a URL could otherwise have us call what only we can reach: neighbours, the database,
// the metadata service of a cloud. So a name is resolved here, its addresses are checked, and one of those that passed is connected to,
// as an address: a second resolution that says something else changes nothing.
//
// No redirects, 20 s for everything, 64 KB of answer.
import { Resolver } from 'node:dns/promises';
import ipaddr from 'ipaddr.js';
import { Agent, buildConnector, errors, request } from 'undici';
import type { Call, Called, Caller, CallFault, UrlRefusal } from '../modules/webhooks/index.ts';

const call_timeout_ms = 20_000;
const connect_timeout_ms = 5_000;
const resolve_timeout_ms = 2_000;
const max_answer_bytes = 65_536;
/** of a name that has more, how many are tried */
const max_addresses = 3;
/** what serves HTTP to the public; below 1,024 live services that take a request line for a command of theirs */
const low_ports = [80, 443];
/** Azure answers guests here, on an address that looks public. */
const guest_services = ['168.63.129.16'];
/** 2000::/3 is all of IPv6 that is routed between networks. */
const global_ipv6 = ipaddr.parseCIDR('2000::/3');

/** What an operator lets us call all the same: `127.0.0.1:*`, `hooks.internal:8443`. */
export interface Allowed {
  host: string;
  /** null means any */
  port: number | null;
}

export interface OutboundOptions {
  allow: Allowed[];
  is_production: boolean;
  /** where names are asked for; absent means as the machine does */
  dns_servers?: string[];
  timeout_ms?: number;
}

class Refused extends Error {
  readonly fault: CallFault;

  constructor(fault: CallFault, message: string) {
    super(message);
    this.fault = fault;
  }
}

export class Outbound implements Caller {
  readonly #options: OutboundOptions;
  readonly #resolver = new Resolver({ timeout: resolve_timeout_ms, tries: 2 });
  readonly #connect = buildConnector({ timeout: connect_timeout_ms });
  readonly #agent: Agent;

  constructor(options: OutboundOptions) {
    this.#options = options;
    if (options.dns_servers !== undefined) this.#resolver.setServers(options.dns_servers);
    this.#agent = new Agent({
      // How many are open at once is for the caller to bound: one that hangs must not be in another's way.
      connections: null,
      pipelining: 1,
      keepAliveTimeout: 10_000,
      keepAliveMaxTimeout: 60_000,
      maxHeaderSize: 16_384,
      connect: (target, callback) => {
        this.#open(target).then(
          (socket) => callback(null, socket),
          (error: unknown) => callback(error instanceof Error ? error : new Error(String(error)), null),
        );
      },
    });
  }

  /** What is wrong with a URL as far as its text tells; names are resolved when they are called. */
  maybeRefusal(text: string): UrlRefusal | null {
    const url = URL.canParse(text) ? new URL(text) : null;
    if (url === null || !/^https?:$/.test(url.protocol)) {
      return { code: 'url_malformed', detail: 'expected an absolute https URL' };
    }
    if (url.username !== '' || url.password !== '' || url.hash !== '') {
      return { code: 'url_malformed', detail: 'a URL to call has neither a user nor a fragment' };
    }
    if (this.#isAllowed(url.hostname, portOf(url))) return null;
    if (url.protocol === 'http:' && this.#options.is_production) {
      return { code: 'https_required', detail: 'expected https' };
    }
    const port = portOf(url);
    if (port < 1_024 && !low_ports.includes(port)) {
      return { code: 'url_port_refused', detail: `expected port 443 or one from 1024, not ${port}` };
    }
    const host = bare(url.hostname);
    if (isInward(host) || (ipaddr.isValid(host) && !isPublic(host))) {
      return { code: 'url_private', detail: `${host} is not a public address` };
    }
    return null;
  }

  /** POSTs, and tells what came of it; it never throws for what the far side does. */
  async call(call: Call, signal: AbortSignal): Promise<Called> {
    const started_ms = performance.now();
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(), this.#options.timeout_ms ?? call_timeout_ms);
    const stop = () => deadline.abort();
    signal.addEventListener('abort', stop);
    const duration_ms = () => Math.round(performance.now() - started_ms);
    try {
      const refusal = this.maybeRefusal(call.url);
      if (refusal !== null) throw new Refused('address_refused', refusal.detail);
      const { statusCode, headers, body } = await request(call.url, {
        method: 'POST',
        headers: call.headers,
        body: call.body,
        dispatcher: this.#agent,
        signal: deadline.signal,
      });
      const chunks: Buffer[] = [];
      let bytes = 0;
      for await (const chunk of body) {
        if (!Buffer.isBuffer(chunk)) throw new Error('a chunk that is no buffer');
        bytes += chunk.length;
        if (bytes > max_answer_bytes) {
          // Leaving the loop cuts the connection.
          throw new Refused('answer_too_large', `the answer has more than ${max_answer_bytes} bytes`);
        }
        chunks.push(chunk);
      }
      const retry_after = headers['retry-after'];
      return {
        kind: 'answered',
        status_code: statusCode,
        answer: Buffer.concat(chunks).toString(),
        retry_after: typeof retry_after === 'string' ? retry_after : null,
        duration_ms: duration_ms(),
      };
    } catch (error) {
      const fault = deadline.signal.aborted ? (signal.aborted ? 'stopped' : 'timeout') : faultOf(error);
      const detail = error instanceof Error ? error.message : String(error);
      return { kind: 'failed', fault, detail, duration_ms: duration_ms() };
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
    }
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async #open(target: buildConnector.Options) {
    const name = bare(target.hostname);
    const port = Number(target.port === '' ? (target.protocol === 'https:' ? 443 : 80) : target.port);
    const is_allowed = this.#isAllowed(name, port);
    const addresses = await this.#resolve(name);
    const usable = addresses.filter(
      (address) => is_allowed || isPublic(address) || this.#isAllowed(address, port),
    );
    if (usable.length === 0) {
      throw new Refused('address_refused', `${name} is not a public address`);
    }
    let last: unknown = null;
    for (const address of usable.slice(0, max_addresses)) {
      try {
        return await this.#connectTo(target, name, address);
      } catch (error) {
        // The next address may answer; the last one's trouble is told.
        last = error;
      }
    }
    throw last;
  }

  #connectTo(target: buildConnector.Options, name: string, address: string) {
    // Without the name the certificate would be compared with the address.
    const servername = ipaddr.isValid(name) ? {} : { servername: target.servername ?? name };
    return new Promise<Parameters<buildConnector.Callback>[1] & object>((resolve, reject) => {
      this.#connect({ ...target, ...servername, hostname: address }, (error, socket) => {
        if (error !== null) return reject(error);
        const connected = socket.remoteAddress;
        if (connected !== undefined && sameAddress(connected, address)) return resolve(socket);
        socket.destroy();
        return reject(new Refused('address_refused', `connected to ${connected} instead of ${address}`));
      });
    });
  }

  async #resolve(name: string): Promise<string[]> {
    if (ipaddr.isValid(name)) return [name];
    // RFC 6761: the name never leaves the machine.
    if (name === 'localhost') return ['127.0.0.1', '::1'];
    const [four, six] = await Promise.allSettled([
      this.#resolver.resolve4(name),
      this.#resolver.resolve6(name),
    ]);
    const found = [four, six].flatMap((each) => (each.status === 'fulfilled' ? each.value : []));
    if (found.length === 0) throw new Refused('name_not_resolved', `${name} has no address`);
    return found;
  }

  #isAllowed(host: string, port: number): boolean {
    return this.#options.allow.some(
      (each) => each.host === bare(host) && (each.port === null || each.port === port),
    );
  }
}

function portOf(url: URL): number {
  if (url.port !== '') return Number(url.port);
  return url.protocol === 'https:' ? 443 : 80;
}

/** `[::1]` and `example.com.` as resolvers write them */
function bare(host: string): string {
  return host
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/\.$/, '')
    .toLowerCase();
}

/** Names that only mean something on this machine or in this network. */
function isInward(host: string): boolean {
  return /(^|\.)(localhost|local|internal|intranet|lan|home\.arpa)$/.test(host) || !/[.:]/.test(host);
}

/** Whether everybody could call this address. What is mapped into IPv6 is judged by what it maps. */
export function isPublic(text: string): boolean {
  const address = ipaddr.process(text);
  if (address.range() !== 'unicast' || guest_services.includes(address.toString())) return false;
  return address instanceof ipaddr.IPv4 || address.match(global_ipv6);
}

function sameAddress(one: string, other: string): boolean {
  return ipaddr.process(one).toString() === ipaddr.process(other).toString();
}

function faultOf(error: unknown): CallFault {
  if (error instanceof Refused) return error.fault;
  if (error instanceof errors.ConnectTimeoutError) return 'timeout';
  if (error instanceof errors.HTTPParserError || error instanceof errors.HeadersOverflowError) {
    return 'answer_malformed';
  }
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (/^(HPE_|UND_ERR_RES|UND_ERR_HEADERS_OVERFLOW)/.test(code)) return 'answer_malformed';
  if (/^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO)/.test(code)) return 'tls_failed';
  return 'connection_failed';
}
