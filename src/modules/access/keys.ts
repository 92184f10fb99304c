// API keys: created, rotated, revoked. The secret is in the answer to the creation and nowhere else.
import { z } from 'zod';
import { queries, type Tx } from '../../db.ts';
import { Problem } from '../../errors.ts';
import { decodeId, encodeId } from '../../id.ts';
import type { PageRequest } from '../../page.ts';
import { appendEvent } from '../log/index.ts';
import { findTenant } from '../tenants/index.ts';
import { newApiKey } from './api_key.ts';
import { type Key, KeySchema, type RoleName } from './schema.ts';

const sql = queries(
  import.meta.url,
  'key_insert',
  'key_find',
  'key_lock',
  'key_list',
  'key_lock_lasting',
  'key_revoke',
  'key_end',
);

const RowSchema = KeySchema.extend({ id: z.uuid(), rotated_from: z.uuid().nullable() });
type Row = z.infer<typeof RowSchema>;
const IdSchema = z.object({ id: z.uuid() });

export function renderKey(row: Row): Key {
  return {
    ...row,
    id: encodeId('key', row.id),
    rotated_from: row.rotated_from === null ? null : encodeId('key', row.rotated_from),
  };
}

interface NewKey {
  /** uuid; absent means a new one */
  id?: string;
  name: string;
  role: RoleName;
  /** RFC 3339, in the future; null means never */
  expires_at?: string | null;
  /** uuid of the key that this one takes over from */
  rotated_from?: string;
}

/** A key of the transaction's tenant, with the text that opens doors: shown once, kept as a hash. Errors: `invalid_request`. */
export async function createKey(tx: Tx, key: NewKey): Promise<{ key: Key; api_key: string }> {
  const { mode } = await findTenant(tx, tx.actor.tenant_id);
  const { id, secret_hash, api_key } = newApiKey(mode, key.id);
  return { key: await addKey(tx, { ...key, id, secret_hash }), api_key };
}

/** A key whose secret was made elsewhere. Errors: `invalid_request` when it would have expired already. */
export async function addKey(tx: Tx, key: NewKey & { id: string; secret_hash: Buffer }): Promise<Key> {
  await tx.run(sql.key_insert, {
    tenant_id: tx.actor.tenant_id,
    id: key.id,
    name: key.name,
    role: key.role,
    secret_hash: key.secret_hash,
    rotated_from: key.rotated_from ?? null,
    expires_at: key.expires_at ?? null,
  });
  const created = renderKey(await findKey(tx, key.id));
  if (created.status !== 'active') {
    const detail = 'a new key expires in the future';
    throw new Problem('invalid_request', detail, {
      errors: [{ pointer: '#/expires_at', code: 'expiry_in_past', detail }],
    });
  }
  await appendEvent(tx, { type: 'access.key_created', subject_id: key.id, data: created });
  return created;
}

/** Errors: `not_found`. */
export async function findKey(tx: Tx, id: string): Promise<Row> {
  const row = await tx.maybe(sql.key_find, { tenant_id: tx.actor.tenant_id, id }, RowSchema);
  if (row === null) throw new Problem('not_found', 'There is no such key');
  return row;
}

/** In the order of their creation. */
export async function listKeys(
  tx: Tx,
  filters: { status: Key['status'] | null },
  page: PageRequest<string>,
): Promise<Row[]> {
  return tx.many(sql.key_list, { tenant_id: tx.actor.tenant_id, ...filters, ...page }, RowSchema);
}

/**
 * A new key of the same name and role; the old one goes on working for the overlap.
 * Locks: as `lockKey`. Errors: `not_found`, `key_revoked`, `key_expired`, `last_owner_key`, `invalid_request`.
 */
export async function rotateKey(
  tx: Tx,
  id: string,
  rotation: { overlap_seconds: number; expires_at: string | null },
): Promise<{ key: Key; api_key: string; previous: Key }> {
  const { key: old, is_last } = await lockKey(tx, id);
  checkNotRevoked(old);
  if (old.status === 'expired') throw new Problem('key_expired', `The key expired at ${old.expires_at}`);
  if (is_last && rotation.expires_at !== null) throw lastOwnerKey(old.role);
  const { key, api_key } = await createKey(tx, {
    name: old.name,
    role: old.role,
    expires_at: rotation.expires_at,
    rotated_from: id,
  });
  await tx.run(sql.key_end, { tenant_id: tx.actor.tenant_id, id, overlap_seconds: rotation.overlap_seconds });
  const previous = renderKey(await findKey(tx, id));
  await appendEvent(tx, { type: 'access.key_rotated', subject_id: id, data: previous });
  return { key, api_key, previous };
}

/** From its commit on the key opens nothing. Locks: as `lockKey`. Errors: `not_found`, `key_revoked`, `last_owner_key`. */
export async function revokeKey(tx: Tx, id: string): Promise<Key> {
  const { key, is_last } = await lockKey(tx, id);
  checkNotRevoked(key);
  if (is_last) throw lastOwnerKey(key.role);
  await tx.run(sql.key_revoke, { tenant_id: tx.actor.tenant_id, id });
  const revoked = renderKey(await findKey(tx, id));
  await appendEvent(tx, { type: 'access.key_revoked', subject_id: id, data: revoked });
  return revoked;
}

/** The uuid of a key on the wire. */
export function keyId(id: string): string {
  return decodeId('key', id, '#/path/key');
}

/**
 * The key, and whether nobody could make keys any more without it: no other of the role that makes them is left that never expires.
 * Locks: first the lasting keys of that role, in the order of their ids, then the key; so of two that end the last two keys at once
 * the second sees what the first did, and neither waits for the other in a circle.
 * Errors: `not_found`.
 */
export async function lockKey(tx: Tx, id: string): Promise<{ key: Row; is_last: boolean }> {
  const { tenant_id } = tx.actor;
  const { role } = await findKey(tx, id);
  const is_keeper = role === 'owner' || role === 'platform';
  const lasting = is_keeper ? await tx.many(sql.key_lock_lasting, { tenant_id, role }, IdSchema) : [];
  await tx.run(sql.key_lock, { tenant_id, id });
  const key = await findKey(tx, id);
  return { key, is_last: is_keeper && lasting.every((other) => other.id === id) };
}

function checkNotRevoked({ status, revoked_at }: Row): void {
  if (status === 'revoked') throw new Problem('key_revoked', `The key was revoked at ${revoked_at}`);
}

function lastOwnerKey(role: RoleName): Problem {
  return new Problem(
    'last_owner_key',
    `No other ${role} key without an expiry would be left: create one first`,
  );
}
