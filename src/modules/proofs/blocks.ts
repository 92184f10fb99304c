// Blocks: closed stretches of a tenant's log. Each holds the hash of the one before, so the last one speaks for all that was recorded.
import { z } from 'zod';
import type { Consumer } from '../../consumer.ts';
import { type Database, queries, type Tx } from '../../db.ts';
import { Problem } from '../../errors.ts';
import type { PageRequest } from '../../page.ts';
import { transactionConsumer } from '../log/index.ts';
import { headerBytes } from './canonical.ts';
import { hashRange, max_block_positions, prepareHashing } from './leaves.ts';
import { hash_bytes, merkleRoot, sha256 } from './merkle.ts';
import type { SigningKeys } from './signing_keys.ts';

const sql = queries(import.meta.url, 'block_find_last', 'block_insert', 'block_list', 'block_find');

/** About how long a receipt is waited for, and what is recorded can be tampered with before it is sealed. */
const within_ms = 1_000;

const bytes = z.instanceof(Buffer);

/** A row without its leaves. */
export const BlockRowSchema = z.object({
  tenant_id: z.uuid(),
  number: z.int(),
  first_position: z.int(),
  last_position: z.int(),
  root: bytes,
  previous_hash: bytes,
  closed_at: z.string(),
  key_id: bytes,
  hash: bytes,
  signature: bytes,
});
export type BlockRow = z.infer<typeof BlockRowSchema>;

const LastSchema = z.object({
  /** zeros when there is none */
  number: z.int(),
  last_position: z.int(),
  hash: bytes.nullable(),
  closed_at: z.string(),
});

/**
 * Closes a block over each slice of the log, in the transaction that moves the consumer. Whatever ends it half-way leaves nothing.
 * `keys` is asked for each block.
 */
export function blocksConsumer(database: Database, keys: () => SigningKeys): Consumer {
  return transactionConsumer(
    database,
    {
      name: 'blocks',
      description: 'Closes signed blocks over the log, so that a change to what was recorded shows',
      max_slice_positions: max_block_positions,
      within_ms,
    },
    async (tx, { after, after_at, up_to, up_to_at }) => {
      const { tenant_id } = tx.actor;
      await prepareHashing(tx);
      const { leaves, positions } = await hashRange(tx, { after, up_to, from_at: after_at, to_at: up_to_at });
      const last = await tx.one(sql.block_find_last, { tenant_id }, LastSchema);
      if (last.last_position !== after) {
        throw new Error(`the last block ends at position ${last.last_position}, and not at ${after}`);
      }
      if (positions !== null) {
        throw new Error(`not every position from ${after + 1} to ${up_to} has exactly one event`);
      }
      const { active } = keys();
      const header = {
        tenant_id,
        number: last.number + 1,
        first_position: after + 1,
        last_position: up_to,
        root: merkleRoot(leaves),
        previous_hash: last.hash ?? Buffer.alloc(hash_bytes),
        closed_at: last.closed_at,
        key_id: active.key_id,
      };
      const signed = headerBytes(header);
      await tx.run(sql.block_insert, {
        ...header,
        hash: sha256(signed),
        signature: active.sign(signed),
        leaves,
      });
    },
  );
}

/** Newest first. */
export async function listBlocks(tx: Tx, page: PageRequest<number>): Promise<BlockRow[]> {
  const { row_limit, after } = page;
  return tx.many(sql.block_list, { tenant_id: tx.actor.tenant_id, before: after, row_limit }, BlockRowSchema);
}

/**
 * By number, or by hash in hex.
 * Errors: `not_found`.
 */
export async function findBlock(tx: Tx, name: string): Promise<BlockRow> {
  const { tenant_id } = tx.actor;
  const found = await tx.maybe(
    sql.block_find,
    {
      tenant_id,
      number: /^[1-9][0-9]{0,14}$/.test(name) ? name : null,
      hash: /^[0-9a-f]{64}$/.test(name) ? Buffer.from(name, 'hex') : null,
    },
    BlockRowSchema,
  );
  if (found === null) throw new Problem('not_found', 'There is no such block');
  return found;
}
