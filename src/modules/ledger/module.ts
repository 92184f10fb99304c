import type { Context, Module } from '../../module.ts';
import type { Streams } from '../log/index.ts';
import { AccountCache } from './account_cache.ts';
import { account_events } from './account_events.ts';
import { account_routes } from './account_routes.ts';
import { balanceRoutes } from './balance_routes.ts';
import { balanceStreamRoute } from './balance_stream.ts';
import { transaction_events } from './events.ts';
import { holdExpiryJobs } from './hold_expiry.ts';
import { finishOpenings, onboardingRoutes } from './onboarding.ts';
import { Poster } from './poster.ts';
import { proof_events } from './proof.ts';
import { proof_routes } from './proof_routes.ts';
import { transactionRoutes } from './transaction_routes.ts';
import { renderStored, TransactionReader } from './transactions.ts';

export function ledgerModule(context: Context, streams: Streams): Module {
  const { database, metrics } = context;
  const accounts = new AccountCache(database);
  const poster = new Poster(database, accounts, metrics, (tenant_id, events) =>
    streams.tails.offer(tenant_id, events),
  );
  return {
    name: 'ledger',
    routes: [
      ...transactionRoutes(poster, new TransactionReader(database, accounts)),
      ...account_routes,
      ...balanceRoutes(database),
      balanceStreamRoute(database, streams),
      ...proof_routes,
      ...onboardingRoutes(database),
    ],
    events: [...account_events, ...transaction_events, ...proof_events],
    jobs: holdExpiryJobs(poster),
    renderStored: (tenant_id, stored) => renderStored(database, tenant_id, stored),
    start: () => finishOpenings(database),
    stop: () => poster.stop(),
  };
}
