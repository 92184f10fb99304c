// The modules in their order: each may import only those above it, through their index.ts.
import { platform_tenant_id, system_actor_id } from './db.ts';
import type { Context, Module } from './module.ts';
import { accessModule } from './modules/access/index.ts';
import { ledgerModule, listAccountPositions } from './modules/ledger/index.ts';
import { logModule } from './modules/log/index.ts';
import { projectionsModule } from './modules/projections/index.ts';
import { proofsModule } from './modules/proofs/index.ts';
import { listTenants, tenantsModule } from './modules/tenants/index.ts';

export function createModules(context: Context): Module[] {
  const consumers = () => modules.flatMap((module) => module.consumers ?? []);
  const modules: Module[] = [
    tenantsModule(context, consumers),
    accessModule(context),
    ledgerModule(context),
    projectionsModule(context),
    proofsModule(context),
  ];
  const platform = { tenant_id: platform_tenant_id, actor_id: system_actor_id, request_id: 'consumers' };
  // The log shows what all of them say, runs what follows it, and asks the others what it cannot know: which events touch an account,
  // and which tenants there are.
  const log = logModule(context, {
    kinds: () => [...log.events, ...modules.flatMap((module) => module.events)],
    consumers,
    accountPositions: listAccountPositions,
    listTenants: async (page) => {
      const rows = await context.database.read(platform, (tx) => listTenants(tx, { ...page, status: null }));
      return rows.map(({ id }) => id);
    },
  });
  return [log, ...modules];
}
