// The modules in their order: each may import only those above it, through their index.ts.
import type { Context, Module } from './module.ts';
import { accessModule } from './modules/access/index.ts';
import { ledgerModule } from './modules/ledger/index.ts';
import { tenantsModule } from './modules/tenants/index.ts';

export function createModules(context: Context): Module[] {
  return [tenantsModule(), accessModule(context), ledgerModule(context)];
}
