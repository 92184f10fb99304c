// Tenants: companies whose books are kept apart. The platform's tenant writes them; each sees itself.
import { z } from 'zod';
import { platform_tenant_id, queries, type Tx } from '../../db.ts';
import { Problem } from '../../errors.ts';
import { encodeId, newUuid } from '../../id.ts';
import { appendEvent } from '../log/index.ts';
import { createAsset, isoCurrency, unknownCurrency } from './assets.ts';
import { iso_4217 } from './currencies.ts';
import {
  type Mode,
  type NewAsset,
  NewAssetSchema,
  type TemplateName,
  type Tenant,
  TenantSchema,
} from './schema.ts';
import { templates } from './templates/index.ts';
import type { TemplateAccount } from './templates/template.ts';

const sql = queries(
  import.meta.url,
  'tenant_insert',
  'tenant_find',
  'tenant_lock',
  'tenant_find_by_slug',
  'tenant_list',
  'tenant_list_opening',
  'tenant_open',
  'tenant_rename',
  'tenant_set_status',
);

const RowSchema = TenantSchema.extend({ id: z.uuid() });

/** A tenant as the platform handles it: its id is the uuid. */
export type TenantRow = z.infer<typeof RowSchema>;

export function renderTenant(row: TenantRow): Tenant {
  return { ...row, id: encodeId('tenant', row.id) };
}

/** What the tenant is opened with by `maybeOpenTenant`, in its own transaction. */
export interface Opening {
  /** uuid, and SHA-256 of the secret */
  owner_key: { id: string; secret_hash: Buffer };
  assets: NewAsset[];
}

/**
 * Appends `tenants.tenant_created` to the platform's log; in a transaction of the platform. With an opening the tenant is `opening`
 * until that is done; without one it is active, and has no accounts and no key.
 * Errors: `asset_taken`, `currency_unknown`, `tenant_slug_taken`.
 */
export async function createTenant(
  tx: Tx,
  tenant: {
    slug: string;
    name: string;
    mode: Mode;
    template: TemplateName;
    currency: string;
    opening?: Opening;
  },
): Promise<TenantRow> {
  if (tx.actor.tenant_id !== platform_tenant_id) throw new Error('only the platform creates tenants');
  const { opening = null, slug, name, mode, template, currency } = tenant;
  const assets = opening?.assets ?? [];
  for (const [index, asset] of assets.entries()) {
    if (iso_4217.has(asset.currency)) throw isoCurrency(asset.currency, `#/assets/${index}/currency`);
  }
  const is_known =
    typeof iso_4217.get(currency) === 'number' || assets.some((asset) => asset.currency === currency);
  if (!is_known) throw unknownCurrency(currency);
  const row = await tx.one(
    sql.tenant_insert,
    {
      id: newUuid(),
      slug,
      name,
      mode,
      status: opening === null ? 'active' : 'opening',
      template,
      currency,
      owner_key_id: opening?.owner_key.id ?? null,
      owner_key_hash: opening?.owner_key.secret_hash ?? null,
      opening_assets: JSON.stringify(assets),
    },
    RowSchema,
  );
  await appendEvent(tx, { type: 'tenants.tenant_created', subject_id: row.id, data: renderTenant(row) });
  return row;
}

const OpenedSchema = RowSchema.extend({
  owner_key_id: z.uuid(),
  owner_key_hash: z.instanceof(Buffer),
  opening_assets: z.array(NewAssetSchema),
});

/**
 * Makes the transaction's tenant active, registers its assets, and answers what else it starts with, which the caller creates in the
 * same transaction. null when it has been opened before: of two that open it at once, the second waits and gets null.
 */
export async function maybeOpenTenant(tx: Tx): Promise<{
  currency: string;
  accounts: readonly TemplateAccount[];
  owner_key: Opening['owner_key'];
} | null> {
  const opened = await tx.maybe(sql.tenant_open, { id: tx.actor.tenant_id }, OpenedSchema);
  if (opened === null) return null;
  const { owner_key_id, owner_key_hash, opening_assets, ...row } = opened;
  await appendEvent(tx, { type: 'tenants.tenant_opened', subject_id: row.id, data: renderTenant(row) });
  for (const asset of opening_assets) await createAsset(tx, asset);
  return {
    currency: row.currency,
    accounts: templates[row.template].accounts,
    owner_key: { id: owner_key_id, secret_hash: owner_key_hash },
  };
}

/** Ids of tenants that were created, and whose opening was interrupted. */
export async function listOpening(tx: Tx): Promise<string[]> {
  const rows = await tx.many(sql.tenant_list_opening, {}, z.object({ id: z.uuid() }));
  return rows.map((row) => row.id);
}

/** As the platform sees any tenant, and each tenant itself. */
export async function findTenant(tx: Tx, id: string): Promise<TenantRow> {
  const row = await tx.maybe(sql.tenant_find, { id }, RowSchema);
  if (row === null) throw notFound();
  return row;
}

/** One that the platform administers: any but itself. Errors: `not_found`. */
export async function findOtherTenant(tx: Tx, id: string): Promise<TenantRow> {
  if (id === platform_tenant_id) throw notFound();
  return findTenant(tx, id);
}

/** The same, held against other changes until the transaction ends. */
export async function lockTenant(tx: Tx, id: string): Promise<TenantRow> {
  await tx.run(sql.tenant_lock, { id });
  return findOtherTenant(tx, id);
}

/** By the name that people use, in a transaction of the platform. Errors: `not_found`. */
export async function findTenantBySlug(tx: Tx, slug: string): Promise<TenantRow> {
  const row = await tx.maybe(sql.tenant_find_by_slug, { slug }, RowSchema);
  if (row === null) throw notFound();
  return row;
}

/** In the order of their creation; the platform's own is not among them. */
export async function listTenants(
  tx: Tx,
  page: { row_limit: number; after: string | null; status: string | null },
): Promise<TenantRow[]> {
  return tx.many(sql.tenant_list, page, RowSchema);
}

export async function renameTenant(tx: Tx, id: string, name: string): Promise<TenantRow> {
  const row = await tx.one(sql.tenant_rename, { id, name }, RowSchema);
  await appendEvent(tx, { type: 'tenants.tenant_renamed', subject_id: id, data: renderTenant(row) });
  return row;
}

/** Errors: `not_found`, `tenant_not_active`. */
export async function suspendTenant(tx: Tx, id: string): Promise<TenantRow> {
  const { status } = await lockTenant(tx, id);
  if (status !== 'active') throw new Problem('tenant_not_active', `The tenant is ${status}`);
  const row = await tx.one(sql.tenant_set_status, { id, status: 'suspended' }, RowSchema);
  await appendEvent(tx, { type: 'tenants.tenant_suspended', subject_id: id, data: renderTenant(row) });
  return row;
}

/** Errors: `not_found`, `tenant_not_suspended`. */
export async function reactivateTenant(tx: Tx, id: string): Promise<TenantRow> {
  const { status } = await lockTenant(tx, id);
  if (status !== 'suspended') throw new Problem('tenant_not_suspended', `The tenant is ${status}`);
  const row = await tx.one(sql.tenant_set_status, { id, status: 'active' }, RowSchema);
  await appendEvent(tx, { type: 'tenants.tenant_reactivated', subject_id: id, data: renderTenant(row) });
  return row;
}

function notFound(): Problem {
  return new Problem('not_found', 'There is no such tenant');
}
