// The text of an API key: lk_<live|test>_<id>_<secret>. The id is the 26 letters of the key's TypeID; the secret is 52 letters
// of 5 random bits each. Letters and digits only, so a double click selects the whole and no shell or URL needs quoting.
import { hash, randomBytes } from 'node:crypto';
import { encodeId, maybeDecodeId, newUuid } from '../../id.ts';
import type { Mode } from '../tenants/index.ts';

const letters = '0123456789abcdefghjkmnpqrstvwxyz';
const secret_length = 52;
const form = /^lk_(live|test)_([0-9a-hjkmnp-tv-z]{26})_([0-9a-hjkmnp-tv-z]{52})$/;

/** 260 random bits */
function newSecret(): string {
  return Array.from(randomBytes(secret_length), (byte) => letters.charAt(byte % letters.length)).join('');
}

/** SHA-256. A secret of 260 random bits cannot be guessed, so nothing slower is needed. */
export function hashSecret(secret: string): Buffer {
  return hash('sha256', secret, 'buffer');
}

function apiKeyText(key_id: string, mode: Mode, secret: string): string {
  return `lk_${mode}_${encodeId('key', key_id).slice('key_'.length)}_${secret}`;
}

/** null when the text has not the form of a key */
export function parseApiKey(text: string): { key_id: string; mode: Mode; secret: string } | null {
  const [, mode, id, secret] = form.exec(text) ?? [];
  if ((mode !== 'live' && mode !== 'test') || id === undefined || secret === undefined) return null;
  const key_id = maybeDecodeId('key', `key_${id}`);
  return key_id === null ? null : { key_id, mode, secret };
}

/** A key that is not stored yet. */
export function newApiKey(mode: Mode, id = newUuid()): { id: string; secret_hash: Buffer; api_key: string } {
  const secret = newSecret();
  return { id, secret_hash: hashSecret(secret), api_key: apiKeyText(id, mode, secret) };
}
