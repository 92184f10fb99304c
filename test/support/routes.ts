// The routes of the committed document, and how those that read are asked when each is to be walked.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DocumentSchema } from './contract.ts';
import { root } from './source.ts';

const document = DocumentSchema.parse(JSON.parse(readFileSync(join(root, 'openapi/openapi.json'), 'utf8')));
export const routes = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ method, path, operation })),
);
const of_platform = ['/v1/tenants', '/v1/projection_rebuilds', '/v1/projection_rebuild_cancellations'];
export const isOfPlatform = (path: string) => path.includes('{tenant}') || of_platform.includes(path);

export const reads = routes.filter(({ method }) => method === 'get');
export const isStream = ({ operation }: (typeof reads)[number]) =>
  JSON.stringify(operation.responses).includes('text/event-stream');

const months_ago = new Date(Date.now() - 40 * 86_400_000).toISOString();

/** How a route is asked beside plainly, about what `customers:a` and `cash` have of a transaction. */
export function queriesOf({
  recorded_at,
  position,
}: {
  recorded_at: string;
  position: number;
}): Record<string, string[]> {
  const axes = [
    `as_of=${months_ago}`,
    `known_at=${recorded_at}`,
    `known_at=${position - 1}`,
    `as_of=${months_ago}&known_at=${position}`,
  ];
  const since = `effective_at[gte]=${months_ago}&recorded_at[lte]=${recorded_at}`;
  return {
    '/v1/accounts/{account}/balance': axes,
    '/v1/trial_balance': axes,
    '/v1/accounts/{account}/entries': ['order=desc&limit=2', since],
    '/v1/transactions': [
      'account=cash',
      'account_prefix=customers:&status=pending',
      'reference=r1',
      'metadata[order]=o1',
      'amount[gte]=10&amount[lte]=100000',
      since,
      'limit=1',
    ],
    '/v1/accounts': ['code_prefix=customers:', 'type=asset&currency=EUR', 'status=open', 'limit=1'],
    '/v1/balances': [
      ...['group_by=currency', 'group_by=type', 'group_by=segment', 'code_prefix=customers:', 'format=csv'],
      ...axes,
    ],
    '/v1/events': ['after=3&limit=2', 'types=ledger.transaction_posted', 'account=cash'],
    '/v1/balances/daily': ['account=cash', 'code_prefix=customers:', 'format=csv'],
    '/v1/reports/daily_activity': ['dimension=channel', 'dimension=channel&value=web', 'format=csv'],
    '/v1/invoices': ['customer=c1', 'status=open', 'format=csv'],
    '/v1/invoices/aging': ['customer=c1', 'as_of=2026-06-30', 'format=csv'],
    '/v1/balances/stream': ['accounts=cash,customers:a'],
    '/v1/projection_differences': ['projection=balances', 'projection=reports'],
  };
}
