// Checks that need no database: a receipt or a checkpoint against a public key that one trusts.
import type { z } from 'zod';
import { headerBytes, leafHash } from './canonical.ts';
import { rootOfPath, sha256 } from './merkle.ts';
import { type Block, CheckpointSchema, headerOf, type Receipt, ReceiptSchema, uuidOf } from './schema.ts';
import { type PublicKey, parsePublicKeys } from './signing_keys.ts';

/** It is not what was issued; the message says why. */
export class NotGenuine extends Error {}

/**
 * Checks the text of a receipt down to its last byte. `tenant_id` (TypeID) is whose it must be; null when that does not matter.
 * Throws NotGenuine.
 */
export function verifyReceipt(text: string, trusted: PublicKey[], tenant_id: string | null): Receipt {
  const receipt = parseIssued(text, ReceiptSchema, 'receipt');
  const { event, entries, path, block } = receipt;
  verifyBlock(block, receipt.public_key, trusted);
  if (tenant_id !== null && block.tenant_id !== tenant_id) {
    throw new NotGenuine(`it is a receipt of ${block.tenant_id}, not of ${tenant_id}`);
  }
  const leaf = leafHash({
    ...event,
    tenant_id: uuidOf('tenant', block.tenant_id),
    id: uuidOf('event', event.id),
    subject_id: uuidOf('transaction', event.subject),
    actor_id: uuidOf('key', event.actor_id),
    entries: entries.map((entry) => ({ ...entry, account_id: uuidOf('account', entry.account_id) })),
  });
  const root = rootOfPath(
    leaf,
    event.position - block.first_position,
    block.last_position - block.first_position + 1,
    path.map((hash) => Buffer.from(hash, 'hex')),
  );
  if (root?.toString('hex') !== block.root) {
    throw new NotGenuine('the transaction is not in the block: it, or the path to the block, was altered');
  }
  return receipt;
}

/** Checks the text of an exported checkpoint, as far as it goes by itself. Throws NotGenuine. */
export function verifyCheckpoint(text: string, trusted: PublicKey[]): Block {
  const { block, public_key } = parseIssued(text, CheckpointSchema, 'checkpoint');
  verifyBlock(block, public_key, trusted);
  return block;
}

/** The same with public keys in Base64. */
export function parseCheckpoint(text: string, public_keys: string[]): Block {
  return verifyCheckpoint(text, public_keys.flatMap(parsePublicKeys));
}

function verifyBlock(block: Block, public_key: string, trusted: PublicKey[]): void {
  const key = trusted.find(({ key_id }) => key_id.toString('hex') === block.key_id);
  if (key === undefined) {
    throw new NotGenuine(`it is signed by the key ${block.key_id}, which is not one that you trust`);
  }
  if (key.raw.toString('base64') !== public_key) throw new NotGenuine('its public key was altered');
  const signed = headerBytes(headerOf(block));
  if (!key.verifies(signed, Buffer.from(block.signature, 'base64'))) {
    throw new NotGenuine('the signature is not of this block: one of them was altered');
  }
  if (sha256(signed).toString('hex') !== block.hash)
    throw new NotGenuine('the hash of the block was altered');
}

/** Issued text is what JSON.stringify makes of it, so that no byte can change without being noticed; a final line break may be there. */
function parseIssued<Schema extends z.ZodType>(text: string, schema: Schema, name: string): z.output<Schema> {
  const json = maybeJson(text);
  if (json === undefined) throw new NotGenuine(`it is not a ${name}: it is not JSON`);
  const parsed = schema.safeParse(json);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new NotGenuine(`it is not a ${name}: ${issue?.path.join('.')}: ${issue?.message}`);
  }
  if (JSON.stringify(parsed.data) !== text.replace(/\n$/, '')) {
    throw new NotGenuine(
      `it is not the text of a ${name} as it was issued: bytes were added, removed or moved`,
    );
  }
  return parsed.data;
}

function maybeJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // undefined is what no JSON can say
    return undefined;
  }
}
