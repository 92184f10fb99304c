// 16-byte hashes as uuid text: what stays for ever (keys, references, metadata pairs) is stored by its hash.
import { hash } from 'node:crypto';
import { uuidOfHex } from './id.ts';

/** The first 128 bits of SHA-256 as uuid text. Name what is hashed in the text itself, so that two kinds never collide. */
export function hash16(text: string | Buffer): string {
  return uuidOfHex(hash('sha256', text, 'hex'));
}
