// Units of account: ISO 4217, and what a tenant has registered beside it.
import { queries, type Tx } from '../../db.ts';
import { Problem } from '../../errors.ts';
import { appendEvent } from '../log/index.ts';
import { iso_4217 } from './currencies.ts';
import { type Asset, AssetSchema } from './schema.ts';

const sql = queries(import.meta.url, 'asset_insert', 'asset_find', 'asset_list');

/**
 * For ever: its scale gives meaning to every amount booked in it. The event's subject is the tenant.
 * Errors: `asset_taken`, also when ISO 4217 has the code.
 */
export async function createAsset(
  tx: Tx,
  asset: { currency: string; scale: number; name: string },
): Promise<Asset> {
  if (iso_4217.has(asset.currency)) throw isoCurrency(asset.currency, '#/currency');
  const created = await tx.one(sql.asset_insert, { tenant_id: tx.actor.tenant_id, ...asset }, AssetSchema);
  await appendEvent(tx, {
    type: 'tenants.asset_registered',
    subject_id: tx.actor.tenant_id,
    data: created,
  });
  return created;
}

export async function findAsset(tx: Tx, currency: string): Promise<Asset> {
  const asset = await maybeAsset(tx, currency);
  if (asset === null) throw new Problem('not_found', 'There is no such asset');
  return asset;
}

/** In the order of their codes. */
export async function listAssets(
  tx: Tx,
  page: { row_limit: number; after: string | null },
): Promise<Asset[]> {
  return tx.many(sql.asset_list, { tenant_id: tx.actor.tenant_id, ...page }, AssetSchema);
}

/** The decimals of a currency's minor unit, of ISO 4217 or as the tenant has registered it. Errors: `currency_unknown`. */
export async function findScale(tx: Tx, currency: string): Promise<number> {
  const scale = iso_4217.get(currency) ?? (await maybeAsset(tx, currency))?.scale;
  if (scale === undefined) throw unknownCurrency(currency);
  return scale;
}

export function isoCurrency(currency: string, pointer: string): Problem {
  const detail = `${currency} is a code of ISO 4217`;
  return new Problem('asset_taken', detail, {
    errors: [{ pointer, code: 'asset_taken', detail }],
  });
}

export function unknownCurrency(currency: string): Problem {
  return new Problem('currency_unknown', `${currency} is neither ISO 4217 nor a registered asset`, {
    errors: [{ pointer: '#/currency', code: 'currency_unknown', detail: 'register it with POST /v1/assets' }],
  });
}

async function maybeAsset(tx: Tx, currency: string): Promise<Asset | null> {
  return tx.maybe(sql.asset_find, { tenant_id: tx.actor.tenant_id, currency }, AssetSchema);
}
