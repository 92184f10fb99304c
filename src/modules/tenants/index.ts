export { findScale } from './assets.ts';
export { iso_4217 } from './currencies.ts';
export { tenantsModule } from './module.ts';
export { TenantPathSchema, tenantOf } from './routes.ts';
export {
  CurrencySchema,
  type Mode,
  ModeSchema,
  NameSchema,
  NewAssetSchema,
  SlugSchema,
  TemplateNameSchema,
  TenantSchema,
} from './schema.ts';
export {
  createTenant,
  findTenant,
  findTenantBySlug,
  listOpening,
  listTenants,
  maybeOpenTenant,
  renderTenant,
} from './tenants.ts';
