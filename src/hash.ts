// 16-byte hashes as uuid text: what stays for ever (keys, references, metadata pairs) is stored by its hash.
import { hash } from 'node:crypto';

/** The first 128 bits of SHA-256 as uuid text. Name what is hashed in the text itself, so that two kinds never collide. */
export function hash16(text: string | Buffer): string {
  return asUuid(hash('sha256', text, 'hex'));
}

function asUuid(hex: string): string {
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}`;
}
