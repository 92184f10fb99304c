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
  delivery: 'del',
  dead_letter: 'dlt',
  rebuild: 'reb',
  request: 'req',
} as const;

export type IdKind = keyof typeof prefixes;

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';
// Tables, because every request makes, writes and reads several ids.
/** two letters for 10 bits */
const letter_pairs = Array.from(
  { length: 1_024 },
  (_, bits) => alphabet.charAt(bits >> 5) + alphabet.charAt(bits & 31),
);
/** two digits for a byte */
const digit_pairs = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
/** 5 bits by the code of a letter, 4 bits by that of a digit; -1 for every other character of ASCII */
const letter_bits = bitsOf(alphabet);
const digit_bits = bitsOf('0123456789abcdef');

function bitsOf(symbols: string): Int8Array {
  const table = new Int8Array(128).fill(-1);
  for (const [bits, symbol] of [...symbols].entries()) table[symbol.charCodeAt(0)] = bits;
  return table;
}

const pool = Buffer.allocUnsafe(8 * 256);
let pool_offset = pool.length;
let last_ms = 0;
/** the digits of `last_ms`, up to the version */
let head = '';
let sequence = 0;

/**
 * A new UUIDv7 in canonical text. Within one process the ids grow strictly: 12 bits after the millisecond count up (RFC 9562, method 1),
 * and a millisecond that overflows them borrows from the next, so index inserts stay at the right edge.
 */
export function newUuid(now_ms = Date.now()): string {
  if (now_ms > last_ms) beginMillisecond(now_ms);
  else if (++sequence > 0xfff) beginMillisecond(last_ms + 1);
  if (pool_offset === pool.length) {
    randomFillSync(pool);
    pool_offset = 0;
  }
  // The variant of RFC 9562 takes two of the 64 random bits.
  pool[pool_offset] = (pool.readUInt8(pool_offset) & 0x3f) | 0x80;
  let text = `${head}${alphabet.charAt(sequence >> 8)}${digit_pairs[sequence & 0xff]}-`;
  for (let index = 0; index < 8; index += 1) {
    if (index === 2) text += '-';
    text += digit_pairs[pool.readUInt8(pool_offset + index)];
  }
  pool_offset += 8;
  return text;
}

function beginMillisecond(ms: number): void {
  const digits = ms.toString(16).padStart(12, '0');
  last_ms = ms;
  head = `${digits.slice(0, 8)}-${digits.slice(8)}-7`;
  sequence = 0;
}

/** uuid text → TypeID text */
export function encodeId(kind: IdKind, uuid: string): string {
  let text = `${prefixes[kind]}_`;
  // 26 letters are 130 bits, so two zero bits go ahead of the 128.
  let waiting = 0;
  let waiting_bits = 2;
  for (let index = 0; index < uuid.length; index += 1) {
    const code = uuid.charCodeAt(index);
    if (code === hyphen) continue;
    waiting = (waiting << 4) | (digit_bits[code] ?? 0);
    waiting_bits += 4;
    if (waiting_bits >= 10) {
      waiting_bits -= 10;
      text += letter_pairs[waiting >> waiting_bits];
      waiting &= (1 << waiting_bits) - 1;
    }
  }
  return text;
}

const hyphen = '-'.charCodeAt(0);
const underscore = '_'.charCodeAt(0);

/** TypeID text → uuid text; null when it is not a TypeID of that kind. */
export function maybeDecodeId(kind: IdKind, id: string): string | null {
  const prefix = prefixes[kind];
  const start = prefix.length + 1;
  if (id.length !== start + 26 || !id.startsWith(prefix) || id.charCodeAt(start - 1) !== underscore)
    return null;
  let text = '';
  let waiting = 0;
  let waiting_bits = -2;
  for (let index = start; index < id.length; index += 1) {
    const bits = letter_bits[id.charCodeAt(index)] ?? -1;
    // The first letter carries three bits.
    if (bits < 0 || (index === start && bits > 7)) return null;
    waiting = (waiting << 5) | bits;
    waiting_bits += 5;
    if (waiting_bits >= 8) {
      waiting_bits -= 8;
      text += digit_pairs[waiting >> waiting_bits];
      waiting &= (1 << waiting_bits) - 1;
      if (text.length === 8 || text.length === 13 || text.length === 18 || text.length === 23) text += '-';
    }
  }
  return text;
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
