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
const digits = '0123456789abcdef';
const hyphen = codeOf('-');
const underscore = codeOf('_');
// Tables, because every request makes, writes and reads several ids.
const letter_codes = Uint8Array.from(alphabet, codeOf);
const digit_codes = Uint8Array.from(digits, codeOf);
/** 5 bits by the code of a letter, 4 bits by that of a digit; -1 for every other character of ASCII */
const letter_bits = bitsOf(alphabet);
const digit_bits = bitsOf(digits);

function codeOf(symbol: string): number {
  return symbol.charCodeAt(0);
}

function bitsOf(symbols: string): Int8Array {
  const table = new Int8Array(128).fill(-1);
  for (const [bits, symbol] of [...symbols].entries()) table[codeOf(symbol)] = bits;
  return table;
}

// An id is written here and read as one string. Put together from pieces it would stay in pieces, which everybody who writes it has to
// visit one by one.
const text_length = 36;
const text = Buffer.alloc(text_length);
const new_text = Buffer.alloc(text_length);

const pool = Buffer.allocUnsafe(8 * 256);
let pool_offset = pool.length;
let last_ms = 0;
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
  pool[pool_offset] = ((pool[pool_offset] ?? 0) & 0x3f) | 0x80;
  new_text[15] = digit_codes[sequence >> 8] ?? 0;
  writeByte(new_text, 16, sequence & 0xff);
  for (let index = 0, at = 19; index < 8; index += 1, at += 2) {
    if (isHyphenAt(at)) at += 1;
    writeByte(new_text, at, pool[pool_offset + index] ?? 0);
  }
  pool_offset += 8;
  return new_text.toString('latin1');
}

/** Writes all up to the sequence, and the hyphens. */
function beginMillisecond(ms: number): void {
  const hex = ms.toString(16).padStart(12, '0');
  new_text.write(`${hex.slice(0, 8)}-${hex.slice(8)}-7___-____-____________`, 'latin1');
  last_ms = ms;
  sequence = 0;
}

function writeByte(target: Buffer, at: number, byte: number): void {
  target[at] = digit_codes[byte >> 4] ?? 0;
  target[at + 1] = digit_codes[byte & 15] ?? 0;
}

/** Where a uuid has its hyphens. */
function isHyphenAt(index: number): boolean {
  return index === 8 || index === 13 || index === 18 || index === 23;
}

/** 32 digits as uuid text */
export function uuidOfHex(hex: string): string {
  for (let index = 0, at = 0; index < 32; index += 1, at += 1) {
    if (isHyphenAt(at)) {
      text[at] = hyphen;
      at += 1;
    }
    text[at] = hex.charCodeAt(index);
  }
  return text.toString('latin1');
}

/** uuid text → TypeID text */
export function encodeId(kind: IdKind, uuid: string): string {
  const prefix = prefixes[kind];
  let at = 0;
  while (at < prefix.length) {
    text[at] = prefix.charCodeAt(at);
    at += 1;
  }
  text[at] = underscore;
  at += 1;
  // 26 letters are 130 bits, so two zero bits go ahead of the 128.
  let waiting = 0;
  let waiting_bits = 2;
  for (let index = 0; index < uuid.length; index += 1) {
    const code = uuid.charCodeAt(index);
    if (code === hyphen) continue;
    waiting = (waiting << 4) | (digit_bits[code] ?? 0);
    waiting_bits += 4;
    if (waiting_bits >= 5) {
      waiting_bits -= 5;
      text[at] = letter_codes[waiting >> waiting_bits] ?? 0;
      at += 1;
      waiting &= (1 << waiting_bits) - 1;
    }
  }
  return text.toString('latin1', 0, at);
}

/** TypeID text → uuid text; null when it is not a TypeID of that kind. */
export function maybeDecodeId(kind: IdKind, id: string): string | null {
  const prefix = prefixes[kind];
  const start = prefix.length + 1;
  if (id.length !== start + 26 || !id.startsWith(prefix) || id.charCodeAt(start - 1) !== underscore)
    return null;
  let at = 0;
  let waiting = 0;
  let waiting_bits = -2;
  for (let index = start; index < id.length; index += 1) {
    const bits = letter_bits[id.charCodeAt(index)] ?? -1;
    // The first letter carries three bits.
    if (bits < 0 || (index === start && bits > 7)) return null;
    waiting = (waiting << 5) | bits;
    waiting_bits += 5;
    while (waiting_bits >= 4) {
      waiting_bits -= 4;
      if (isHyphenAt(at)) {
        text[at] = hyphen;
        at += 1;
      }
      text[at] = digit_codes[waiting >> waiting_bits] ?? 0;
      at += 1;
      waiting &= (1 << waiting_bits) - 1;
    }
  }
  return text.toString('latin1');
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
