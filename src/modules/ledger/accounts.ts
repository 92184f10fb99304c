// Accounts: what never changes about one is a row, what may change is a version per change, each with its event.
import { z } from 'zod';
import { queries, type Tx } from '../../db.ts';
import { Problem } from '../../errors.ts';
import { encodeId, maybeDecodeId, newUuid } from '../../id.ts';
import type { PageRequest } from '../../page.ts';
import { appendEvent } from '../log/index.ts';
import { findScale } from '../tenants/index.ts';
import {
  type Account,
  type AccountPatch,
  type AccountRequest,
  AccountSchema,
  isCode,
} from './account_schema.ts';
import { metadataPairHash } from './draft.ts';

const sql = queries(
  import.meta.url,
  'account_insert',
  'account_version_insert',
  'account_lock',
  'account_find',
  'account_find_by_code',
  'account_list',
  'account_list_by_metadata',
);

const RowSchema = AccountSchema.omit({ normal_side: true, limits: true }).extend({
  id: z.uuid(),
  available_min: z.string().nullable(),
  posted_max: z.string().nullable(),
  /** counts the account's versions */
  number: z.number(),
});
/** An account as the database has it: `id` is the uuid. */
export type AccountRow = z.infer<typeof RowSchema>;

type Version = Pick<AccountRow, 'name' | 'status' | 'available_min' | 'posted_max' | 'metadata'>;

export function normalSide(type: Account['type']): Account['normal_side'] {
  return type === 'asset' || type === 'expense' ? 'debit' : 'credit';
}

export function renderAccount(row: Omit<AccountRow, 'number'>): Account {
  return {
    id: encodeId('account', row.id),
    code: row.code,
    name: row.name,
    type: row.type,
    normal_side: normalSide(row.type),
    currency: row.currency,
    scale: row.scale,
    limits: {
      ...(row.available_min === null ? {} : { available_min: row.available_min }),
      ...(row.posted_max === null ? {} : { posted_max: row.posted_max }),
    },
    status: row.status,
    // The database does not keep the order of keys; an ETag needs one.
    metadata: Object.fromEntries(Object.entries(row.metadata).sort(([a], [b]) => (a < b ? -1 : 1))),
    created_at: row.created_at,
  };
}

/** What an account's events say: the account as it is after them, without what their columns say. */
function facts(row: Omit<AccountRow, 'number'>): Omit<Account, 'id' | 'created_at'> {
  const { id: _id, created_at: _created_at, ...rest } = renderAccount(row);
  return rest;
}

/** Errors: `currency_unknown`, `account_code_taken`. Takes the tenant's lock. */
export async function createAccount(tx: Tx, request: AccountRequest): Promise<Account> {
  const scale = await findScale(tx, request.currency);
  const account = {
    id: newUuid(),
    code: request.code,
    type: request.type,
    currency: request.currency,
    scale,
    name: request.name ?? null,
    status: 'open' as const,
    available_min: request.limits?.available_min ?? null,
    posted_max: request.limits?.posted_max ?? null,
    metadata: request.metadata ?? {},
  };
  const { position, recorded_at } = await appendEvent(tx, {
    type: 'ledger.account_created',
    subject_id: account.id,
    data: facts({ ...account, created_at: '' }),
  });
  const { status: _status, ...row } = account;
  await tx.run(sql.account_insert, {
    ...row,
    tenant_id: tx.actor.tenant_id,
    position,
    recorded_at,
    pair_hashes: pairHashes(account.metadata),
  });
  return renderAccount({ ...account, created_at: recorded_at });
}

/** By id or code. Errors: `not_found`. */
export async function findAccount(tx: Tx, reference: string): Promise<AccountRow> {
  const row = await maybeAccount(tx, reference);
  if (row === null) throw new Problem('not_found', 'There is no such account');
  return row;
}

async function maybeAccount(tx: Tx, reference: string): Promise<AccountRow | null> {
  const { tenant_id } = tx.actor;
  const id = maybeDecodeId('account', reference);
  if (id !== null) return tx.maybe(sql.account_find, { tenant_id, id }, RowSchema);
  if (!isCode(reference)) return null;
  return tx.maybe(sql.account_find_by_code, { tenant_id, code: reference }, RowSchema);
}

/** The account while nobody else can change it: under the tenant's lock. Errors: `not_found`. */
export async function lockAccount(tx: Tx, reference: string): Promise<AccountRow> {
  await tx.run(sql.account_lock, { tenant_id: tx.actor.tenant_id });
  return findAccount(tx, reference);
}

export interface AccountFilters {
  code_prefix?: string | undefined;
  type?: string | undefined;
  currency?: string | undefined;
  status?: string | undefined;
  metadata?: Record<string, string> | undefined;
}

/** In the order of codes, byte by byte. */
export async function listAccounts(
  tx: Tx,
  filters: AccountFilters,
  page: PageRequest<string>,
): Promise<AccountRow[]> {
  const values = {
    tenant_id: tx.actor.tenant_id,
    after_code: page.after,
    code_prefix: filters.code_prefix ?? null,
    type: filters.type ?? null,
    currency: filters.currency ?? null,
    status: filters.status ?? null,
    row_limit: page.row_limit,
  };
  const [first] = Object.entries(filters.metadata ?? {});
  if (first === undefined) return tx.many(sql.account_list, values, RowSchema);
  return tx.many(
    sql.account_list_by_metadata,
    { ...values, pair_hash: metadataPairHash(...first), metadata: JSON.stringify(filters.metadata) },
    RowSchema,
  );
}

/** Of an account that is locked. A patch that changes nothing adds nothing to the log. */
export async function updateAccount(tx: Tx, row: AccountRow, patch: AccountPatch): Promise<Account> {
  const metadata = Object.entries({ ...row.metadata, ...patch.metadata });
  const version: Version = {
    name: patch.name === undefined ? row.name : patch.name,
    status: row.status,
    available_min: patch.limits?.available_min === undefined ? row.available_min : patch.limits.available_min,
    posted_max: patch.limits?.posted_max === undefined ? row.posted_max : patch.limits.posted_max,
    metadata: Object.fromEntries(metadata.flatMap(([key, value]) => (value === null ? [] : [[key, value]]))),
  };
  if (Object.keys(version.metadata).length > 50) {
    const detail = 'metadata has at most 50 keys';
    throw new Problem('invalid_request', detail, {
      errors: [{ pointer: '#/metadata', code: 'too_big', detail }],
    });
  }
  const changed = { ...row, ...version };
  if (JSON.stringify(facts(changed)) === JSON.stringify(facts(row))) return renderAccount(row);
  await insertVersion(tx, changed, 'ledger.account_updated');
  return renderAccount(changed);
}

/** Of an account that is locked. Errors: `account_not_open`. */
export async function closeAccount(tx: Tx, row: AccountRow): Promise<Account> {
  if (row.status !== 'open') throw new Problem('account_not_open', `${row.code} is already closed`);
  const changed = { ...row, status: 'closed' as const };
  await insertVersion(tx, changed, 'ledger.account_closed');
  return renderAccount(changed);
}

/** Of an account that is locked. Errors: `account_not_closed`. */
export async function reopenAccount(tx: Tx, row: AccountRow): Promise<Account> {
  if (row.status !== 'closed') throw new Problem('account_not_closed', `${row.code} is open`);
  const changed = { ...row, status: 'open' as const };
  await insertVersion(tx, changed, 'ledger.account_reopened');
  return renderAccount(changed);
}

async function insertVersion(tx: Tx, row: AccountRow, type: string): Promise<void> {
  const { position, recorded_at } = await appendEvent(tx, { type, subject_id: row.id, data: facts(row) });
  const { name, status, available_min, posted_max, metadata } = row;
  await tx.run(sql.account_version_insert, {
    tenant_id: tx.actor.tenant_id,
    id: row.id,
    position,
    number: row.number + 1,
    code: row.code,
    pair_hashes: pairHashes(metadata),
    name,
    status,
    available_min,
    posted_max,
    metadata,
    recorded_at,
  });
}

function pairHashes(metadata: Record<string, string>): string[] {
  return Object.entries(metadata).map((pair) => metadataPairHash(...pair));
}
