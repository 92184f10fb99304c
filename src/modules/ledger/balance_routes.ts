// Routes of balances.
import type { Database } from '../../db.ts';
import { reading_problems, readingSchema, replyReading } from '../../reading.ts';
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
import {
  listRollUps,
  RollUpKeySchema,
  RollUpQuerySchema,
  RollUpSchema,
  RollUpsSchema,
  renderRollUp,
} from './roll_ups.ts';
import {
  findTrialBalance,
  renderTrialBalanceLine,
  TrialBalanceKeySchema,
  TrialBalanceLineSchema,
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
      responses: { 200: readingSchema(StatementLineSchema) },
      csv: true,
      problems: ['not_found', ...reading_problems],
      handler: async (input) => {
        const { principal, params, query } = input;
        return replyReading(input, {
          list: `entries ${params.account}`,
          key: EntryKeySchema,
          item: StatementLineSchema,
          read: (page) => listEntries(database, principal.tenant_id, params.account, query, page),
          keyOf: ({ position, ordinal }) => [position, ordinal],
          render: renderLine,
        });
      },
    }),
    callRoute({
      method: 'get',
      path: '/v1/balances',
      operation_id: 'listRollUps',
      summary: 'Roll balances up',
      description:
        'Exact balances of all accounts whose codes begin with `code_prefix`, summed per currency, and per type or segment if asked: now, or as ' +
        '`as_of` and `known_at` say of `GET /v1/accounts/{account}/balance`. Each page is read by itself, at the position that it tells; a ' +
        '`known_at` makes pages fit together. Costs some microseconds for each account below the prefix, with `as_of` or `known_at` some tenths ' +
        'of a millisecond.',
      tag,
      permission: { action: 'read', subject: 'report' },
      query: RollUpQuerySchema,
      responses: { 200: RollUpsSchema },
      csv: true,
      problems: reading_problems,
      handler: async (input) =>
        replyReading(input, {
          list: 'balances',
          key: RollUpKeySchema,
          item: RollUpSchema,
          read: (page) => listRollUps(database, input.principal, input.query, page),
          keyOf: ({ name, currency }) => [name, currency],
          render: renderRollUp,
        }),
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
      csv: true,
      problems: reading_problems,
      handler: async (input) =>
        replyReading(input, {
          list: 'trial_balance',
          key: TrialBalanceKeySchema,
          item: TrialBalanceLineSchema,
          read: (page) => findTrialBalance(database, input.principal, input.query, page),
          keyOf: ({ code, position }) => [code, position],
          render: renderTrialBalanceLine,
        }),
    }),
  ];
}
