// What the platform's log says of tenants, and a tenant's log of its assets.
import type { EventKind } from '../../event.ts';
import { AssetSchema, TenantSchema } from './schema.ts';

export const events: EventKind[] = [
  {
    type: 'tenants.tenant_created',
    description: 'A tenant was created',
    subject: 'tenant',
    data: TenantSchema,
  },
  {
    type: 'tenants.tenant_renamed',
    description: 'A tenant has another name',
    subject: 'tenant',
    data: TenantSchema,
  },
  {
    type: 'tenants.tenant_suspended',
    description: 'The keys of a tenant open nothing',
    subject: 'tenant',
    data: TenantSchema,
  },
  {
    type: 'tenants.tenant_reactivated',
    description: 'The keys of a tenant work again',
    subject: 'tenant',
    data: TenantSchema,
  },
  {
    type: 'tenants.tenant_opened',
    description: "The first event of a tenant's own log",
    subject: 'tenant',
    data: TenantSchema,
  },
  {
    type: 'tenants.asset_registered',
    description: 'A tenant has a currency of its own',
    subject: 'tenant',
    data: AssetSchema,
  },
];
