// API keys: created, rotated, revoked. The secret is in the answer to the creation and nowhere else.
import { z } from 'zod';
import { queries, type Tx } from '../../db.ts';
import { Problem } from '../../errors.ts';
import { encodeId, newUuid } from '../../id.ts';
import { appendEvent } from '../log/index.ts';
import { findTenant } from '../tenants/index.ts';
import { apiKeyText, hashSecret, newSecret } from './api_key.ts';
import { type Key, KeySchema, type RoleName } from './schema.ts';

const sql = queries(import.meta.url, 'key_insert', 'key_find');

const RowSchema = KeySchema.extend({ id: z.uuid(), rotated_from: z.uuid().nullable() });

function renderKey(row: z.infer<typeof RowSchema>): Key {
  return {
    ...row,
    id: encodeId('key', row.id),
    rotated_from: row.rotated_from === null ? null : encodeId('key', row.rotated_from),
  };
}

/** A key of the transaction's tenant, with the text that opens doors: shown once, kept as a hash. */
export async function createKey(
  tx: Tx,
  key: {
    name: string;
    role: RoleName;
    expires_at?: string | null;
    rotated_from?: string;
    id?: string;
    secret?: string;
  },
): Promise<{ key: Key; api_key: string }> {
  const id = key.id ?? newUuid();
  const secret = key.secret ?? newSecret();
  const tenant = await findTenant(tx, tx.actor.tenant_id);
  await tx.run(sql.key_insert, {
    tenant_id: tenant.id,
    id,
    name: key.name,
    role: key.role,
    secret_hash: hashSecret(secret),
    rotated_from: key.rotated_from ?? null,
    expires_at: key.expires_at ?? null,
  });
  const created = await findKey(tx, id);
  await appendEvent(tx, { type: 'access.key_created', subject_id: id, data: created });
  return { key: created, api_key: apiKeyText(id, tenant.mode, secret) };
}

export async function findKey(tx: Tx, id: string): Promise<Key> {
  const row = await tx.maybe(sql.key_find, { tenant_id: tx.actor.tenant_id, id }, RowSchema);
  if (row === null) throw new Problem('not_found', 'There is no such key');
  return renderKey(row);
}
