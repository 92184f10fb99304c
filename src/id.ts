// TypeIDs over UUIDv7: `acc_01h455vb4pex5vsknk084sn02q` on the wire, a uuid in the database.
import { randomFillSync } from 'node:crypto';
import { z } from 'zod';
import { Problem } from './errors.ts';

const prefixes = {
  tenant: 'ten',
  key: 'key',
  account: 'acc',
  transaction: 'txn',
  event: 'evt',
  webhook: 'whk',
  request: 'req',
} as const;

export type IdKind = keyof typeof prefixes;

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';
const decoding = new Map([...alphabet].map((letter, value) => [letter, value]));
const pool = Buffer.allocUnsafe(10 * 256);
let pool_offset = pool.length;
let last_ms = 0;
let sequence = 0;

/**
 * A new UUIDv7 in canonical text. Within one process the ids grow strictly: 12 bits after the millisecond count up (RFC 9562, method 1),
 * and a millisecond that overflows them borrows from the next, so index inserts stay at the right edge.
 */
export function newUuid(now_ms = Date.now()): string {
  if (now_ms > last_ms) {
    last_ms = now_ms;
    sequence = 0;
  } else if (++sequence > 0xfff) {
    last_ms += 1;
    sequence = 0;
  }
  if (pool_offset + 8 > pool.length) {
    randomFillSync(pool);
    pool_offset = 0;
  }
  const high = last_ms.toString(16).padStart(12, '0');
  const random = pool.toString('hex', pool_offset, pool_offset + 8);
  pool_offset += 8;
  const variant = ((Number.parseInt(random.charAt(0), 16) & 0x3) | 0x8).toString(16);
  return `${high.slice(0, 8)}-${high.slice(8)}-7${sequence.toString(16).padStart(3, '0')}-${variant}${random.slice(1, 4)}-${random.slice(4)}`;
}

/** uuid text → TypeID text */
export function encodeId(kind: IdKind, uuid: string): string {
  const hex = uuid.replaceAll('-', '');
  const high = Number.parseInt(hex.slice(0, 12), 16);
  let text = '';
  // 26 letters of 5 bits are 130 bits: the first carries 3. Taken as 48 + 40 + 40 bits to stay within exact doubles.
  // 128 bits = 3 + 25 × 5; the first 48 bits give 10 letters (3 + 9 × 5), then 40 and 40 bits give 8 each.
  let rest = high;
  for (let i = 0; i < 10; i += 1) {
    text = alphabet.charAt(rest % 32) + text;
    rest = Math.floor(rest / 32);
  }
  return `${prefixes[kind]}_${text}${encode40(hex.slice(12, 22))}${encode40(hex.slice(22, 32))}`;
}

function encode40(hex: string): string {
  let rest = Number.parseInt(hex, 16);
  let text = '';
  for (let i = 0; i < 8; i += 1) {
    text = alphabet.charAt(rest % 32) + text;
    rest = Math.floor(rest / 32);
  }
  return text;
}

/** TypeID text → uuid text; null when it is not a TypeID of that kind. */
export function maybeDecodeId(kind: IdKind, id: string): string | null {
  const prefix = prefixes[kind];
  if (id.length !== prefix.length + 27 || !id.startsWith(`${prefix}_`)) return null;
  const head = decodeBits(id.slice(prefix.length + 1, prefix.length + 11));
  const middle = decodeBits(id.slice(prefix.length + 11, prefix.length + 19));
  const tail = decodeBits(id.slice(prefix.length + 19));
  if (head === null || middle === null || tail === null || head >= 2 ** 48) return null;
  const hex =
    head.toString(16).padStart(12, '0') +
    middle.toString(16).padStart(10, '0') +
    tail.toString(16).padStart(10, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

function decodeBits(letters: string): number | null {
  let value = 0;
  for (const letter of letters) {
    const bits = decoding.get(letter);
    if (bits === undefined) return null;
    value = value * 32 + bits;
  }
  return value;
}

/** TypeID text → uuid text; a wrong prefix or form is a 400 that names the expected prefix. */
export function decodeId(kind: IdKind, id: string, pointer: string): string {
  const uuid = maybeDecodeId(kind, id);
  if (uuid === null) {
    const detail = `expected an id of the form ${prefixes[kind]}_…`;
    throw new Problem('invalid_request', detail, { errors: [{ pointer, code: 'id_invalid', detail }] });
  }
  return uuid;
}

/** The zod schema of an id on the wire; it stays the TypeID text. */
export function idSchema(kind: IdKind) {
  return z.string().meta({ description: `TypeID with the prefix \`${prefixes[kind]}_\`` });
}
