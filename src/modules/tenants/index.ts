export { findScale } from './assets.ts';
export { iso_4217 } from './currencies.ts';
export { tenantsModule } from './module.ts';
export {
  CurrencySchema,
  type Mode,
  ModeSchema,
  NameSchema,
  NewAssetSchema,
  SlugSchema,
  type TemplateName,
  TemplateNameSchema,
  type Tenant,
  TenantSchema,
} from './schema.ts';
export {
  createTenant,
  findTenant,
  listOpening,
  listTenants,
  maybeOpenTenant,
  maybeTenantBySlug,
  type Opening,
  renderTenant,
  type TenantRow,
} from './tenants.ts';
