// GET /v1/balances/stream: balances as they are, again whenever they have changed, ten times a second at most.
import { z } from 'zod';
import { type Database, queries, systemActor } from '../../db.ts';
import { Problem } from '../../errors.ts';
import { encodeId } from '../../id.ts';
import { type Principal, type StreamRoute, streamRoute } from '../../route.ts';
import { StreamQuerySchema } from '../../stream.ts';
import { no_filter, type Streams, type TopicSource } from '../log/index.ts';
import { AccountTypeSchema, CodePrefixSchema } from './account_schema.ts';
import { findAccount, normalSide } from './accounts.ts';
import { BalanceSchema, PositionSchema } from './balance_schema.ts';
import { renderSums } from './balances.ts';
import { listRollUps, RollUpQuerySchema, RollUpSchema, renderRollUp } from './roll_ups.ts';

const sql = queries(import.meta.url, 'balance_list');

const max_accounts = 50;
const max_roll_ups = 200;
/** A hold that expires changes a balance, and the log tells of it a little later. */
const refresh_ms = 5_000;

const QuerySchema = StreamQuerySchema.extend({
  accounts: z
    .string()
    .min(1)
    .transform((accounts) => [...new Set(accounts.split(','))])
    .refine((accounts) => accounts.length <= max_accounts, `at most ${max_accounts} accounts`)
    .optional()
    .meta({
      description: `Ids or codes, separated by commas; at most ${max_accounts}`,
      example: 'customers:alice',
    }),
  code_prefix: CodePrefixSchema.optional().meta({
    description: 'In place of accounts: the balances of all accounts whose codes begin so, rolled up',
    example: 'customers:',
  }),
  group_by: RollUpQuerySchema.shape.group_by,
});

const StreamedBalanceSchema = BalanceSchema.omit({ position: true, as_of: true, known_at: true })
  .extend({ account_code: z.string() })
  .meta({ id: 'StreamedBalance' });
const StreamedRollUpSchema = RollUpSchema.omit({ position: true }).meta({ id: 'StreamedRollUp' });

const StateSchema = z
  .object({
    position: PositionSchema.meta({ description: 'The last position of the log that could count' }),
    balances: z.array(StreamedBalanceSchema).optional(),
    roll_ups: z.array(StreamedRollUpSchema).optional(),
  })
  .meta({ id: 'BalancesState', description: 'All balances that are followed, as they are now' });

const RowSchema = z.object({
  account_id: z.uuid(),
  code: z.string(),
  type: AccountTypeSchema,
  currency: z.string(),
  scale: z.number(),
  posted_debits: z.string(),
  posted_credits: z.string(),
  pending_debits: z.string(),
  pending_credits: z.string(),
  head_position: z.number(),
});

export function balanceStreamRoute(database: Database, { topics }: Streams): StreamRoute {
  return streamRoute({
    method: 'get',
    path: '/v1/balances/stream',
    operation_id: 'streamBalances',
    summary: 'Follow balances',
    description: [
      'As `text/event-stream`: the balances of `accounts`, or those below `code_prefix` rolled up, first as they are and then again whenever',
      'one has changed. Each message is the whole state with the position that it stands at, so nothing is to be resumed; there are at most',
      'ten in a second, and a client that is slow gets the newest. Follow `GET /v1/events/stream?after=` that position to see why they change.',
    ].join(' '),
    tag: 'Balances',
    permission: { action: 'read', subject: 'balance' },
    query: QuerySchema,
    responses: { 200: StateSchema },
    problems: ['not_found'],
    async open({ principal, query }) {
      const { accounts, code_prefix, group_by } = query;
      if ((accounts === undefined) === (code_prefix === undefined)) {
        const detail = 'give either accounts or code_prefix';
        throw new Problem('invalid_request', `#/query: ${detail}`, {
          errors: [{ pointer: '#/query/accounts', code: 'accounts_or_prefix', detail }],
        });
      }
      if (accounts !== undefined && group_by !== undefined) {
        const detail = 'accounts are not rolled up: group_by goes with code_prefix';
        throw new Problem('invalid_request', `#/query/group_by: ${detail}`, {
          errors: [{ pointer: '#/query/group_by', code: 'accounts_not_grouped', detail }],
        });
      }
      return topics.open(
        accounts === undefined
          ? rollUpSource(database, principal.tenant_id, { code_prefix, group_by })
          : balanceSource(database, principal.tenant_id, await findAccounts(database, principal, accounts)),
      );
    },
  });
}

/** The accounts' uuids, in their order. Errors: `not_found`. */
async function findAccounts(database: Database, principal: Principal, accounts: string[]): Promise<string[]> {
  const ids = await database.read(principal, async (tx) => {
    const found: string[] = [];
    for (const account of accounts) found.push((await findAccount(tx, account)).id);
    return found;
  });
  return [...new Set(ids)].sort();
}

function balanceSource(database: Database, tenant_id: string, account_ids: string[]): TopicSource {
  return {
    tenant_id,
    key: `balances ${account_ids.join()}`,
    filter: { ...no_filter, accounts: new Set(account_ids.map((id) => encodeId('account', id))) },
    refresh_ms,
    async read() {
      const rows = await database.call(sql.balance_list, { tenant_id, account_ids }, RowSchema);
      const balances: z.infer<typeof StreamedBalanceSchema>[] = rows.map((row) => ({
        account_id: encodeId('account', row.account_id),
        account_code: row.code,
        currency: row.currency,
        scale: row.scale,
        ...renderSums(row, normalSide(row.type)),
      }));
      return { position: rows[0]?.head_position ?? 0, state: JSON.stringify({ balances }) };
    },
  };
}

function rollUpSource(
  database: Database,
  tenant_id: string,
  query: Pick<z.infer<typeof RollUpQuerySchema>, 'code_prefix' | 'group_by'>,
): TopicSource {
  const { code_prefix = null, group_by = 'currency' } = query;
  return {
    tenant_id,
    key: `roll_ups ${group_by} ${code_prefix}`,
    filter: { ...no_filter, account_prefix: code_prefix },
    refresh_ms,
    async read() {
      const page = { after: null, row_limit: max_roll_ups };
      const { position, rows } = await listRollUps(database, systemActor(tenant_id), query, page);
      const roll_ups = rows.map(renderRollUp).map(({ position: _position, ...each }) => each);
      return { position, state: JSON.stringify({ roll_ups }) };
    },
  };
}
