// A secret that is shown once, and the promise that a repeated request gets the same answer: both at once.
// The stored answer is encrypted under the API key that asked for it. Whoever repeats the request with that key gets the whole answer,
// byte for byte; with another key of the tenant, the answer without its secret. The database alone gives nothing: of the key it has a
// hash. (Turned down, with reasons: docs/decisions/sealed-answers.md)
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

const algorithm = 'aes-256-gcm';
const nonce_bytes = 12;
const tag_bytes = 16;
/** no JSON text begins like this */
const mark = 'sealed.';

interface Holder {
  /** the API key of the request */
  presented: string;
  /** of the Idempotency-Key, as uuid text: the same answer sealed for another key opens nothing */
  key_hash: string;
}

/** What is stored in place of an answer that holds a secret: `sealed.<encrypted answer>.<answer without the secret>`. */
export function sealAnswer(answer: { text: string; redacted: string }, holder: Holder): string {
  const nonce = randomBytes(nonce_bytes);
  const cipher = createCipheriv(algorithm, sealingKey(holder), nonce);
  const sealed = Buffer.concat([
    nonce,
    cipher.update(answer.text, 'utf8'),
    cipher.final(),
    cipher.getAuthTag(),
  ]);
  return `${mark}${sealed.toString('base64url')}.${answer.redacted}`;
}

/** The answer that was stored: whole for the key that asked for it, else without its secret. What is not sealed stays as it is. */
export function openAnswer(stored: string, holder: Holder): string {
  if (!stored.startsWith(mark)) return stored;
  const end = stored.indexOf('.', mark.length);
  const sealed = Buffer.from(stored.slice(mark.length, end), 'base64url');
  const decipher = createDecipheriv(algorithm, sealingKey(holder), sealed.subarray(0, nonce_bytes));
  decipher.setAuthTag(sealed.subarray(-tag_bytes));
  const text = decipher.update(sealed.subarray(nonce_bytes, -tag_bytes), undefined, 'utf8');
  try {
    return text + decipher.final('utf8');
  } catch {
    // Another key is asking: the tag does not match.
    return stored.slice(end + 1);
  }
}

/** The answer that was stored, without its secret. */
export function redactedAnswer(stored: string): string {
  return stored.startsWith(mark) ? stored.slice(stored.indexOf('.', mark.length) + 1) : stored;
}

function sealingKey({ presented, key_hash }: Holder): Buffer {
  return Buffer.from(hkdfSync('sha256', presented, key_hash, 'lattice sealed answer', 32));
}
