// The raw body of a request: media type, size and memory are bounded before a byte is parsed.
import type { IncomingMessage } from 'node:http';
import { Problem } from '../errors.ts';
import type { MediaType } from '../route.ts';
import type { Exchange } from './exchange.ts';
import { Shares } from './shares.ts';

const default_limit_bytes = 1024 * 1024;
/** of all bodies that are arriving or in work, in one process */
const held_limit_bytes = 256 * 1024 * 1024;

/** also of requests that only read: what they send is not looked at */
export const no_body = Buffer.alloc(0);

/** Thrown when the connection went away in the middle of a body: there is nobody to answer. */
export class ClientGone extends Error {}

/** Which of our media types the body has; null when there is no body. Errors: `unsupported_media_type`. */
export function mediaType(request: IncomingMessage, body: Buffer, takes_ndjson: boolean): MediaType | null {
  // No lines are a body too: a list without items.
  if (body.length === 0 && !(takes_ndjson && sendsNdjson(request))) return null;
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') {
    throw new Problem('unsupported_media_type', 'Bodies are sent without Content-Encoding');
  }
  const given = request.headers['content-type'];
  if (given === 'application/json') return 'json';
  const parts = given === undefined ? [] : given.split(';');
  const [type, ...parameters] = parts.map((part) => part.trim().toLowerCase());
  const is_utf8 = parameters.every(
    (parameter) => !parameter.startsWith('charset=') || /^charset="?utf-?8"?$/.test(parameter),
  );
  if (type === 'application/json' && is_utf8) return 'json';
  if (type === 'application/x-ndjson' && is_utf8 && takes_ndjson) return 'ndjson';
  const wanted = takes_ndjson ? 'application/json or application/x-ndjson' : 'application/json';
  throw new Problem('unsupported_media_type', `Send the body as ${wanted} in UTF-8`);
}

function sendsNdjson({ headers }: IncomingMessage): boolean {
  return headers['content-type']?.toLowerCase().startsWith('application/x-ndjson') === true;
}

export class Bodies {
  readonly #held_bytes = new Shares(held_limit_bytes);

  /**
   * A body that counts as held until it is released. Errors: `body_too_large` before the rest has arrived, `overloaded`. A body that takes
   * too long ends with its connection (server.ts).
   */
  read(exchange: Exchange, tenant_id: string, limit_bytes = default_limit_bytes): Promise<Buffer> | Buffer {
    const { request, response } = exchange;
    const declared = request.headers['content-length'];
    if (declared === undefined && request.headers['transfer-encoding'] === undefined) return no_body;
    if (declared !== undefined && Number(declared) > limit_bytes) throw tooLarge(limit_bytes);
    if (request.headers.expect !== undefined) response.writeContinue();
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      let is_open = true;
      let held_bytes = 0;
      const leave = () => {
        is_open = false;
        this.#held_bytes.giveBack(tenant_id, held_bytes);
      };
      const refuse = (problem: Problem) => {
        request.pause();
        leave();
        reject(problem);
      };
      const lost = () => {
        if (!is_open) return;
        leave();
        reject(new ClientGone('the client left in the middle of its body'));
      };
      request.on('data', (chunk: Buffer) => {
        if (!is_open) return;
        if (held_bytes + chunk.length > limit_bytes) return refuse(tooLarge(limit_bytes));
        if (!this.#held_bytes.take(tenant_id, chunk.length)) return refuse(overloaded());
        held_bytes += chunk.length;
        chunks.push(chunk);
      });
      request.on('end', () => {
        if (!is_open) return;
        is_open = false;
        const [first] = chunks;
        resolve(chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks, held_bytes));
      });
      request.on('close', lost);
      request.on('error', lost);
    });
  }

  /** The request of a body is answered. */
  release(tenant_id: string, body: Buffer): void {
    this.#held_bytes.giveBack(tenant_id, body.length);
  }
}

function tooLarge(limit_bytes: number): Problem {
  return new Problem('body_too_large', `The body may have at most ${limit_bytes} bytes`, {
    extras: { limit_bytes },
  });
}

function overloaded(): Problem {
  return new Problem('overloaded', 'Too many large bodies are in work at once', {
    headers: { 'Retry-After': '1' },
  });
}
