export { type Mode, ModeSchema, type TemplateName, type Tenant } from './schema.ts';
export { createTenant, findTenant, renderTenant, type TenantRow } from './tenants.ts';
