// The Idempotency-Key of a request: its forms, its fingerprints, and which keys are being worked on in this process.
// What a key was answered is stored by the log, in the commit of the effect; across processes its unique key decides.
import { key_header_pointer, Problem } from '../errors.ts';
import { hash16 } from '../hash.ts';

const visible_ascii = /^[\x21-\x7e]{1,255}$/;
/** a string of RFC 9651, as the IETF draft sends it */
const quoted = /^"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"$/;

/** The key, the same whether quoted or not. Errors: `idempotency_key_missing`, `idempotency_key_invalid`. */
export function parseIdempotencyKey(given: string | string[] | undefined): string {
  if (given === undefined || given === '') {
    throw new Problem('idempotency_key_missing', 'Send an Idempotency-Key that is new for each new intent', {
      errors: [{ pointer: key_header_pointer, code: 'required', detail: 'the header is required' }],
    });
  }
  const text = String(given);
  const key = text.startsWith('"') ? quoted.exec(text)?.[1]?.replace(/\\(["\\])/g, '$1') : text;
  if (key === undefined || !visible_ascii.test(key)) {
    const detail = '1 to 255 visible ASCII characters, without spaces';
    throw new Problem('idempotency_key_invalid', `An Idempotency-Key is ${detail}`, {
      errors: [{ pointer: key_header_pointer, code: 'idempotency_key_invalid', detail }],
    });
  }
  return key;
}

/** The fingerprint of a request: method, target with query, and the bytes of the body. */
export function requestHash(method: string, url: string, body: Buffer): string {
  return hash16(Buffer.concat([Buffer.from(`${method} ${url}\n`), body]));
}

/** The keys of requests that this process is working on. */
export class KeysInUse {
  readonly #keys = new Set<string>();

  /** What is to be given back when the answer is there. Errors: `idempotency_key_in_use`. */
  take(tenant_id: string, key_hash: string): string {
    const key = tenant_id + key_hash;
    if (this.#keys.has(key)) throw keyInUse();
    this.#keys.add(key);
    return key;
  }

  release(taken: string): void {
    this.#keys.delete(taken);
  }
}

function keyInUse(): Problem {
  return new Problem(
    'idempotency_key_in_use',
    'A request with this key is still running; repeat it in a moment',
    {
      headers: { 'Retry-After': '1' },
    },
  );
}
