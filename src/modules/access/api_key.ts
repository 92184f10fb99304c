// The text of an API key: lk_<live|test>_<id>_<secret>. The id is the 26 letters of the key's TypeID; the secret is 52 letters
// of 5 random bits each. Letters and digits only, so a double click selects the whole and no shell or URL needs quoting.
import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import { encodeId, maybeDecodeId, newUuid } from '../../id.ts';
import type { Mode } from '../tenants/index.ts';

const letters = '0123456789abcdefghjkmnpqrstvwxyz';
const secret_length = 52;
const form = /^lk_(live|test)_([0-9a-hjkmnp-tv-z]{26})_([0-9a-hjkmnp-tv-z]{52})$/;

/** 260 random bits */
export function newSecret(): string {
  return Array.from(randomBytes(secret_length), (byte) => letters.charAt(byte % letters.length)).join('');
}

/** SHA-256. A secret of 260 random bits cannot be guessed, so nothing slower is needed. */
function hashSecret(secret: string): Buffer {
  return hash('sha256', secret, 'buffer');
}

/** the hash of what is presented; used and done with inside one call */
const presented_hash = Buffer.alloc(32);

/** Whether a secret has this hash, in the same time wherever they differ. Copied from text: a buffer per hash costs three times as much. */
export function secretMatches(secret: string, secret_hash: Buffer): boolean {
  presented_hash.write(hash('sha256', secret, 'binary'), 'binary');
  return timingSafeEqual(presented_hash, secret_hash);
}

/** The letters in an API key that name it, from its uuid. */
export function keyLetters(id: string): string {
  return encodeId('key', id).slice('key_'.length);
}

/** The uuid of a key from its letters; null when they name none. */
export function maybeKeyId(id_letters: string): string | null {
  return maybeDecodeId('key', `key_${id_letters}`);
}

/** null when the text has not the form of a key */
export function parseApiKey(text: string): { id_letters: string; mode: string; secret: string } | null {
  const [, mode, id_letters, secret] = form.exec(text) ?? [];
  if (mode === undefined || id_letters === undefined || secret === undefined) return null;
  return { id_letters, mode, secret };
}

/** A key that is not stored yet. */
export function newApiKey(mode: Mode, id = newUuid()): { id: string; secret_hash: Buffer; api_key: string } {
  const secret = newSecret();
  return { id, secret_hash: hashSecret(secret), api_key: `lk_${mode}_${keyLetters(id)}_${secret}` };
}
