// The modules in their order: each may import only those above it, through their index.ts.
import type { Context, Module } from './module.ts';
import { accessModule } from './modules/access/index.ts';
import { ledgerModule, listAccountPositions } from './modules/ledger/index.ts';
import { logModule } from './modules/log/index.ts';
import { projectionsModule } from './modules/projections/index.ts';
import { tenantsModule } from './modules/tenants/index.ts';

export function createModules(context: Context): Module[] {
  const modules: Module[] = [
    tenantsModule(),
    accessModule(context),
    ledgerModule(context),
    projectionsModule(context),
  ];
  // The log shows what all of them say, and asks the ledger which of it touches an account.
  const kinds = () => modules.flatMap((module) => module.events);
  return [logModule({ kinds, accountPositions: listAccountPositions }), ...modules];
}
