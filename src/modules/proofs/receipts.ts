// Receipts: what a customer keeps of one transaction, and can check without Lattice: the event, its entries, and the path to a signed block.
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { type Database, queries } from '../../db.ts';
import { Problem } from '../../errors.ts';
import { encodeId } from '../../id.ts';
import { BlockRowSchema } from './blocks.ts';
import { merklePath } from './merkle.ts';
import { type Receipt, renderBlock, renderPublicKey } from './schema.ts';
import { findSigner, type SigningKeys } from './signing_keys.ts';

const sql = queries(import.meta.url, 'receipt_find');

const day_ms = 24 * 3_600 * 1_000;
/** Blocks are closed about every second, so whoever has just posted waits that long. */
const seal_timeout_ms = 5_000;
const look_interval_ms = 100;

const EntriesSchema = z
  .string()
  .transform((text): unknown => JSON.parse(text))
  .pipe(
    z.array(
      z.object({
        ordinal: z.int(),
        account_id: z.uuid(),
        layer: z.enum(['posted', 'pending']),
        direction: z.enum(['debit', 'credit']),
        amount: z.string(),
        effective_at: z.string(),
        recorded_at: z.string(),
        expires_at: z.string().nullable(),
      }),
    ),
  );

const EventSchema = z.object({
  position: z.int(),
  id: z.uuid(),
  type: z.string(),
  subject_id: z.uuid(),
  data: z.string(),
  actor_id: z.uuid(),
  request_id: z.string(),
  occurred_at: z.string(),
  recorded_at: z.string(),
  entries: EntriesSchema,
});
const SealedSchema = EventSchema.extend(BlockRowSchema.omit({ tenant_id: true }).shape).extend({
  leaves: z.instanceof(Buffer),
});
const UnsealedSchema = EventSchema.extend({ number: z.null() });

/**
 * The receipt of a transaction, by uuid. Waits a few seconds for the block that covers it.
 * Errors: `not_found`, `transaction_not_sealed`, `signing_key_unknown`.
 */
export async function findReceipt(
  database: Database,
  keys: SigningKeys,
  tenant_id: string,
  transaction_id: string,
): Promise<Receipt> {
  const deadline = performance.now() + seal_timeout_ms;
  for (;;) {
    const receipt = await maybeReceipt(database, keys, tenant_id, transaction_id);
    if (receipt !== null) return receipt;
    if (performance.now() > deadline) {
      throw new Problem('transaction_not_sealed', 'No block covers the transaction yet');
    }
    await delay(look_interval_ms);
  }
}

async function maybeReceipt(
  database: Database,
  keys: SigningKeys,
  tenant_id: string,
  transaction_id: string,
): Promise<Receipt | null> {
  const created_ms = Number.parseInt(transaction_id.slice(0, 8) + transaction_id.slice(9, 13), 16);
  const instant = (ms: number) => new Date(Math.min(Math.max(ms, 0), Date.UTC(9999, 0))).toISOString();
  const [row] = await database.call(
    sql.receipt_find,
    {
      tenant_id,
      transaction_id,
      recorded_from: instant(created_ms - day_ms),
      recorded_to: instant(created_ms + day_ms),
    },
    z.union([UnsealedSchema, SealedSchema]),
  );
  if (row === undefined) throw new Problem('not_found', 'There is no such transaction');
  if (row.number === null) return null;
  return {
    format: 'lattice-receipt-1',
    event: {
      position: row.position,
      id: encodeId('event', row.id),
      type: row.type,
      subject: encodeId('transaction', row.subject_id),
      actor_id: encodeId('key', row.actor_id),
      request_id: row.request_id,
      occurred_at: row.occurred_at,
      recorded_at: row.recorded_at,
      data: row.data,
    },
    entries: row.entries.map((entry) => ({
      ...entry,
      account_id: encodeId('account', entry.account_id),
      effective_at: utc(entry.effective_at),
      recorded_at: utc(entry.recorded_at),
      expires_at: entry.expires_at === null ? null : utc(entry.expires_at),
    })),
    path: merklePath(row.leaves, row.position - row.first_position).map((hash) => hash.toString('hex')),
    block: renderBlock({ ...row, tenant_id }),
    public_key: renderPublicKey(findSigner(keys, row)),
  };
}

/** Postgres writes UTC in JSON as an offset. */
function utc(instant: string): string {
  return instant.replace('+00:00', 'Z');
}
