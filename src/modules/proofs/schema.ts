// Blocks, checkpoints and receipts on the wire. Hashes are hex, signatures and public keys Base64. A receipt or checkpoint is one JSON text, with
// its members in this order and nothing between them: whatever else says the same is not what was issued.
import { z } from 'zod';
import { encodeId, type IdKind, idSchema, maybeDecodeId } from '../../id.ts';
import { maybeInstant } from '../../instant.ts';
import type { BlockRow } from './blocks.ts';
import type { BlockHeader } from './canonical.ts';
import type { PublicKey } from './signing_keys.ts';

const hex = (bytes: number) =>
  z.string().regex(new RegExp(`^[0-9a-f]{${2 * bytes}}$`), `${bytes} bytes in hex`);
const base64 = (bytes: number) =>
  z.string().refine(
    (text) => {
      const decoded = Buffer.from(text, 'base64');
      return decoded.length === bytes && decoded.toString('base64') === text;
    },
    { error: `${bytes} bytes in Base64` },
  );
const Sha256Schema = hex(32).meta({ description: 'SHA-256, in hex' });
const InstantTextSchema = z
  .string()
  .refine((text) => maybeInstant(text) === text, { error: 'an instant in canonical text' });
const id = (kind: IdKind) =>
  idSchema(kind).refine((text) => maybeDecodeId(kind, text) !== null, { error: `an id of a ${kind}` });
const PositionSchema = z.int().positive();

export const BlockSchema = z
  .strictObject({
    tenant_id: id('tenant'),
    number: z.int().positive().meta({ description: 'Blocks of a tenant are 1, 2, 3 …' }),
    first_position: PositionSchema,
    last_position: PositionSchema,
    previous_hash: Sha256Schema.meta({ description: 'Hash of the block before; zeros for the first' }),
    root: Sha256Schema.meta({ description: 'Root of the Merkle tree over the events' }),
    closed_at: InstantTextSchema,
    key_id: hex(16).meta({ description: 'Of the key that signed' }),
    hash: Sha256Schema.meta({ description: 'Of the header, which is all of the above' }),
    signature: base64(64).meta({ description: 'Ed25519, of the header' }),
  })
  .meta({ id: 'Block', description: "A closed stretch of the tenant's log" });
export type Block = z.infer<typeof BlockSchema>;

const PublicKeyTextSchema = base64(32).meta({ description: 'Ed25519, 32 bytes in Base64' });

export const CheckpointSchema = z
  .strictObject({
    format: z.literal('lattice-checkpoint-1'),
    block: BlockSchema,
    public_key: PublicKeyTextSchema,
  })
  .meta({ id: 'Checkpoint', description: 'The last block, to be kept outside of Lattice' });

export const SigningKeySchema = z
  .object({
    key_id: hex(16),
    algorithm: z.literal('ed25519'),
    public_key: PublicKeyTextSchema,
    status: z
      .enum(['active', 'former'])
      .meta({ description: 'Whether it signs, or its signatures still count' }),
  })
  .meta({ id: 'SigningKey' });

const ReceiptEntrySchema = z.strictObject({
  ordinal: z.int(),
  account_id: id('account'),
  layer: z.enum(['posted', 'pending']),
  direction: z.enum(['debit', 'credit']),
  amount: z.string().regex(/^-?[1-9][0-9]*$/, 'minor units'),
  effective_at: InstantTextSchema,
  recorded_at: InstantTextSchema,
  expires_at: InstantTextSchema.nullable(),
});

export const ReceiptSchema = z
  .strictObject({
    format: z.literal('lattice-receipt-1'),
    event: z.strictObject({
      position: PositionSchema,
      id: id('event'),
      type: z.string(),
      subject: id('transaction'),
      actor_id: id('key'),
      request_id: z.string(),
      occurred_at: InstantTextSchema,
      recorded_at: InstantTextSchema,
      data: z.string().meta({ description: 'The JSON text that was recorded, byte for byte' }),
    }),
    entries: z.array(ReceiptEntrySchema),
    path: z.array(Sha256Schema).meta({ description: "From the event's hash up to the root of the block" }),
    block: BlockSchema,
    public_key: PublicKeyTextSchema,
  })
  .meta({ id: 'Receipt', description: 'Proves that one transaction is in the signed log' });
export type Receipt = z.infer<typeof ReceiptSchema>;

export function renderBlock(row: BlockRow): Block {
  return {
    tenant_id: encodeId('tenant', row.tenant_id),
    number: row.number,
    first_position: row.first_position,
    last_position: row.last_position,
    previous_hash: row.previous_hash.toString('hex'),
    root: row.root.toString('hex'),
    closed_at: row.closed_at,
    key_id: row.key_id.toString('hex'),
    hash: row.hash.toString('hex'),
    signature: row.signature.toString('base64'),
  };
}

export function headerOf(block: Block): BlockHeader {
  return {
    tenant_id: uuidOf('tenant', block.tenant_id),
    number: block.number,
    first_position: block.first_position,
    last_position: block.last_position,
    previous_hash: Buffer.from(block.previous_hash, 'hex'),
    root: Buffer.from(block.root, 'hex'),
    closed_at: block.closed_at,
    key_id: Buffer.from(block.key_id, 'hex'),
  };
}

export function uuidOf(kind: IdKind, text: string): string {
  const uuid = maybeDecodeId(kind, text);
  if (uuid === null) throw new Error(`not an id of a ${kind}: ${text}`);
  return uuid;
}

export function renderPublicKey(key: PublicKey): string {
  return key.raw.toString('base64');
}
