// The modules in their order: each may import only those above it, through their index.ts.
import { platform_tenant_id, system_actor_id } from './db.ts';
import { jobsModule } from './jobs/module.ts';
import { Outbound } from './jobs/outbound.ts';
import type { Context, Module } from './module.ts';
import { accessModule } from './modules/access/index.ts';
import {
  ledgerModule,
  listAccountPositions,
  touchedAccounts,
  touchesAccounts,
} from './modules/ledger/index.ts';
import { logModule, Streams } from './modules/log/index.ts';
import { projectionsModule } from './modules/projections/index.ts';
import { proofsModule } from './modules/proofs/index.ts';
import { listTenants, tenantsModule } from './modules/tenants/index.ts';
import { webhooksModule } from './modules/webhooks/index.ts';

export function createModules(context: Context): Module[] {
  const all = (): Module[] => [log, ...modules];
  const platform = { tenant_id: platform_tenant_id, actor_id: system_actor_id, request_id: 'consumers' };
  // The log shows what all of them say, runs what follows it, and asks the others what it cannot know: which events touch which accounts,
  // and which tenants there are.
  const options = {
    kinds: () => all().flatMap((module) => module.events),
    consumers: () => all().flatMap((module) => module.consumers ?? []),
    accountPositions: listAccountPositions,
    touchedAccounts,
    touchesAccounts,
    listTenants: async (page: { after: string | null; row_limit: number }) => {
      const rows = await context.database.read(platform, (tx) => listTenants(tx, { ...page, status: null }));
      return rows.map(({ id }) => id);
    },
  };
  const streams = new Streams(context, options);
  const streamPaths = () =>
    all().flatMap(({ routes }) => routes.flatMap(({ kind, path }) => (kind === 'stream' ? [path] : [])));
  const { OUTBOUND_ALLOW, NODE_ENV } = context.config;
  const caller = new Outbound({ allow: OUTBOUND_ALLOW, is_production: NODE_ENV === 'production' });
  const log = logModule(context, options, streams);
  const modules: Module[] = [
    tenantsModule(context, options.consumers),
    accessModule(context, streams, streamPaths),
    ledgerModule(context, streams),
    projectionsModule(context, options, streams),
    proofsModule(context),
    webhooksModule(context, { ...options, caller }),
    jobsModule(context, { jobs: () => all().flatMap((module) => module.jobs), ...options }),
  ];
  return all();
}
