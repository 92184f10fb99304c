// The bytes that are hashed and signed, version 1: what docs/proofs.md defines. Postgres makes the same bytes by leaves.sql.
import { sha256 } from './merkle.ts';

export interface CanonicalEntry {
  ordinal: number;
  /** uuid */
  account_id: string;
  layer: 'posted' | 'pending';
  direction: 'debit' | 'credit';
  /** decimal digits, after a minus when negative */
  amount: string;
  /** instants in canonical text (src/instant.ts) */
  effective_at: string;
  recorded_at: string;
  expires_at: string | null;
}

export interface CanonicalEvent {
  /** uuids */
  tenant_id: string;
  id: string;
  subject_id: string;
  actor_id: string;
  position: number;
  occurred_at: string;
  recorded_at: string;
  type: string;
  request_id: string;
  /** the JSON text, byte for byte */
  data: string;
  entries: CanonicalEntry[];
}

export interface BlockHeader {
  /** uuid */
  tenant_id: string;
  number: number;
  first_position: number;
  last_position: number;
  previous_hash: Buffer;
  root: Buffer;
  closed_at: string;
  key_id: Buffer;
}

const version = 1;
const leaf_prefix = 0;
const header_prefix = 2;

/** What stands for an event and its entries in the tree of its block. */
export function leafHash(event: CanonicalEvent): Buffer {
  return sha256(
    Buffer.concat([
      Buffer.of(leaf_prefix, version),
      uuidBytes(event.tenant_id),
      int64(event.position),
      uuidBytes(event.id),
      uuidBytes(event.subject_id),
      uuidBytes(event.actor_id),
      instantBytes(event.occurred_at),
      instantBytes(event.recorded_at),
      textBytes(event.type),
      textBytes(event.request_id),
      textBytes(event.data),
      int32(event.entries.length),
      ...event.entries.flatMap(entryParts),
    ]),
  );
}

function entryParts(entry: CanonicalEntry): Buffer[] {
  return [
    int32(entry.ordinal),
    uuidBytes(entry.account_id),
    Buffer.of(entry.layer === 'posted' ? 0 : 1, entry.direction === 'debit' ? 0 : 1),
    textBytes(entry.amount),
    instantBytes(entry.effective_at),
    instantBytes(entry.recorded_at),
    ...(entry.expires_at === null ? [Buffer.of(0)] : [Buffer.of(1), instantBytes(entry.expires_at)]),
  ];
}

/** What is signed. */
export function headerBytes(header: BlockHeader): Buffer {
  return Buffer.concat([
    Buffer.of(header_prefix, version),
    uuidBytes(header.tenant_id),
    int64(header.number),
    int64(header.first_position),
    int64(header.last_position),
    header.previous_hash,
    header.root,
    instantBytes(header.closed_at),
    header.key_id,
  ]);
}

function uuidBytes(uuid: string): Buffer {
  return Buffer.from(uuid.replaceAll('-', ''), 'hex');
}

function int32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function int64(value: number | bigint): Buffer {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeBigInt64BE(BigInt(value));
  return bytes;
}

/** length in bytes, then UTF-8 */
function textBytes(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([int32(bytes.length), bytes]);
}

const epoch_ms = Date.UTC(2000, 0, 1);

/** microseconds since 2000-01-01T00:00:00Z, as Postgres keeps instants */
function instantBytes(instant: string): Buffer {
  const [whole = '', fraction = ''] = instant.slice(0, -1).split('.');
  const milliseconds = Date.parse(`${whole}Z`);
  if (Number.isNaN(milliseconds)) throw new Error(`not an instant: ${instant}`);
  return int64(BigInt(milliseconds - epoch_ms) * 1_000n + BigInt(fraction.padEnd(6, '0')));
}
