// Tenants: companies whose books are kept apart. The platform's tenant writes them; each sees itself.
import { z } from 'zod';
import { platform_tenant_id, queries, type Tx } from '../../db.ts';
import { Problem } from '../../errors.ts';
import { encodeId, newUuid } from '../../id.ts';
import { appendEvent } from '../log/index.ts';
import { type Mode, type TemplateName, type Tenant, TenantSchema } from './schema.ts';

const sql = queries(import.meta.url, 'tenant_insert', 'tenant_find');

const RowSchema = TenantSchema.extend({ id: z.uuid(), version: z.number() });
type Row = z.infer<typeof RowSchema>;

/** A tenant as the platform handles it: `id` is the uuid, `version` counts its changes. */
export type TenantRow = Row;

export function renderTenant({ version: _version, ...row }: Row): Tenant {
  return { ...row, id: encodeId('tenant', row.id) };
}

/** In a transaction of the platform's tenant. The tenant has no books and no key yet. */
export async function createTenant(
  tx: Tx,
  tenant: {
    slug: string;
    name: string;
    mode: Mode;
    template: TemplateName;
    currency: string;
    /** uuid */
    id?: string;
  },
): Promise<Row> {
  if (tx.actor.tenant_id !== platform_tenant_id) throw new Error('only the platform creates tenants');
  const row = await tx.one(sql.tenant_insert, { ...tenant, id: tenant.id ?? newUuid() }, RowSchema);
  await appendEvent(tx, {
    type: 'tenants.tenant_created',
    subject_id: row.id,
    data: renderTenant(row),
  });
  return row;
}

/** As the platform sees any tenant, and each tenant itself. */
export async function findTenant(tx: Tx, id: string): Promise<Row> {
  const row = await tx.maybe(sql.tenant_find, { id }, RowSchema);
  if (row === null) throw new Problem('not_found', 'There is no such tenant');
  return row;
}
