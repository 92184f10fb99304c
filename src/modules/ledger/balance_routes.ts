// Routes of balances.
import type { Database } from '../../db.ts';
import { nextPage, pageReply, pageRequest, pageSchema } from '../../page.ts';
import { callRoute, type Route } from '../../route.ts';
import { AccountParamsSchema } from './account_schema.ts';
import { BalanceQuerySchema, BalanceSchema } from './balance_schema.ts';
import { findBalance } from './balances.ts';
import {
  EntryKeySchema,
  EntryListQuerySchema,
  listEntries,
  renderLine,
  StatementLineSchema,
} from './entries.ts';
import { listRollUps, RollUpKeySchema, RollUpQuerySchema, RollUpSchema, renderRollUp } from './roll_ups.ts';
import {
  findTrialBalance,
  renderTrialBalanceLine,
  TrialBalanceKeySchema,
  TrialBalanceQuerySchema,
  TrialBalanceSchema,
} from './trial_balance.ts';

const tag = 'Balances';

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
      tag,
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
    callRoute({
      method: 'get',
      path: '/v1/accounts/{account}/entries',
      operation_id: 'listEntries',
      summary: 'Read the statement of an account',
      description:
        'Its posted entries in the order of the log, each with the balance right after it. The last page costs what the first does.',
      tag,
      permission: { action: 'read', subject: 'entry' },
      params: AccountParamsSchema,
      query: EntryListQuerySchema,
      responses: { 200: pageSchema(StatementLineSchema) },
      problems: ['not_found', 'cursor_invalid', 'cursor_mismatch'],
      handler: async (input) => {
        const { principal, params, query } = input;
        const list = `entries ${params.account}`;
        const page = pageRequest(list, query, EntryKeySchema);
        const lines = await listEntries(database, principal.tenant_id, params.account, query, page);
        return pageReply(list, input, lines, ({ position, ordinal }) => [position, ordinal], renderLine);
      },
    }),
    callRoute({
      method: 'get',
      path: '/v1/balances',
      operation_id: 'listRollUps',
      summary: 'Roll balances up',
      description:
        'Exact balances now of all accounts whose codes begin with `code_prefix`, summed per currency, and per type or segment if asked. ' +
        'Costs some microseconds for each account below the prefix.',
      tag,
      permission: { action: 'read', subject: 'report' },
      query: RollUpQuerySchema,
      responses: { 200: pageSchema(RollUpSchema) },
      problems: ['cursor_invalid', 'cursor_mismatch'],
      handler: async (input) => {
        const page = pageRequest('balances', input.query, RollUpKeySchema);
        const rows = await listRollUps(database, input.principal.tenant_id, input.query, page);
        return pageReply('balances', input, rows, ({ name, currency }) => [name, currency], renderRollUp);
      },
    }),
    callRoute({
      method: 'get',
      path: '/v1/trial_balance',
      operation_id: 'findTrialBalance',
      summary: 'Read the trial balance',
      description:
        'Every account that does not come to zero, in the order of codes, with its posted balance in the column of its side; totals per currency ' +
        'over all accounts on the first page. All pages are read at the position of the first, so they fit together. With `as_of` or ' +
        '`known_at` the totals cost some tenths of a millisecond for each account, without some microseconds.',
      tag,
      permission: { action: 'read', subject: 'report' },
      query: TrialBalanceQuerySchema,
      responses: { 200: TrialBalanceSchema },
      problems: ['cursor_invalid', 'cursor_mismatch'],
      handler: async (input) => {
        const { principal, query } = input;
        const page = pageRequest('trial_balance', query, TrialBalanceKeySchema);
        const found = await findTrialBalance(database, principal, query, page);
        const shown = found.rows.slice(0, page.row_limit - 1);
        const last = shown.at(-1);
        const next =
          last === undefined || shown.length === found.rows.length
            ? null
            : nextPage('trial_balance', input, [last.code, found.position]);
        return {
          status: 200,
          body: {
            position: found.position,
            as_of: query.as_of ?? null,
            known_at: query.known_at ?? null,
            totals: found.totals,
            data: shown.map(renderTrialBalanceLine),
            has_more: next !== null,
            next_cursor: next?.next_cursor ?? null,
          },
          headers: next?.headers ?? {},
        };
      },
    }),
  ];
}
