// Routes of balances.
import type { Database } from '../../db.ts';
import { callRoute, type Route } from '../../route.ts';
import { AccountParamsSchema } from './account_schema.ts';
import { BalanceQuerySchema, BalanceSchema } from './balance_schema.ts';
import { findBalance } from './balances.ts';

export function balanceRoutes(database: Database): Route[] {
  return [
    callRoute({
      method: 'get',
      path: '/v1/accounts/{account}/balance',
      operation_id: 'findBalance',
      summary: 'Read the balance of an account',
      description:
        'Exact and current: it includes every transaction that was answered before. `as_of` keeps what was in effect by then, `known_at` ' +
        'what had been recorded by then; both together tell what was believed then about then. A hold counts until it expires: by `as_of` ' +
        'if given, else by `known_at`, else now.',
      tag: 'Balances',
      permission: { action: 'read', subject: 'balance' },
      params: AccountParamsSchema,
      query: BalanceQuerySchema,
      responses: { 200: BalanceSchema },
      problems: ['not_found'],
      handler: async ({ principal, params, query }) => ({
        status: 200,
        body: await findBalance(database, principal.tenant_id, params.account, query),
      }),
    }),
  ];
}
