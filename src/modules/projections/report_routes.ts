// Routes of reports.
import { z } from 'zod';
import type { Database } from '../../db.ts';
import { readingSchema } from '../../reading.ts';
import { callRoute, type Route, readRoute, writeRoute } from '../../route.ts';
import {
  DailyBalanceSchema,
  DailyQuerySchema,
  listDailyBalances,
  renderDailyBalance,
} from './balances_daily.ts';
import { projection_problems, replyProjection } from './reading.ts';
import {
  createReportDimension,
  listReportDimensions,
  NewReportDimensionSchema,
  ReportDimensionSchema,
} from './report_dimensions.ts';
import {
  ActivityKeySchema,
  ActivityQuerySchema,
  ActivitySchema,
  listActivity,
  renderActivity,
} from './reports.ts';

const tag = 'Reports';

const dimension_routes: Route[] = [
  writeRoute({
    method: 'post',
    path: '/v1/report_dimensions',
    operation_id: 'createReportDimension',
    summary: 'Split reports by a metadata key',
    description:
      'From now on, and for ever: daily activity is also kept per value of this key. Transactions that are recorded already do not count. ' +
      'A tenant has at most ten dimensions.',
    tag,
    permission: { action: 'create', subject: 'report_dimension' },
    body: NewReportDimensionSchema,
    example: { key: 'channel' },
    responses: { 201: ReportDimensionSchema },
    problems: ['report_dimension_taken', 'report_dimension_limit_reached'],
    async handler(tx, input) {
      return { status: 201, body: await createReportDimension(tx, input.body.key) };
    },
  }),
  readRoute({
    method: 'get',
    path: '/v1/report_dimensions',
    operation_id: 'listReportDimensions',
    summary: 'List the dimensions of reports',
    description: 'In the order in which they were added; at most ten.',
    tag,
    permission: { action: 'read', subject: 'report' },
    responses: { 200: z.object({ data: z.array(ReportDimensionSchema) }) },
    problems: [],
    async handler(tx) {
      return { status: 200, body: { data: await listReportDimensions(tx) } };
    },
  }),
];

export function reportRoutes(database: Database): Route[] {
  return [
    ...dimension_routes,
    callRoute({
      method: 'get',
      path: '/v1/reports/daily_activity',
      operation_id: 'listDailyActivity',
      summary: 'Read daily activity',
      description:
        'What was posted, by business day, type of account and currency: in all, or per value of a dimension that the tenant has named. A ' +
        'capture or reversal without a value of its own has that of its target.',
      tag,
      permission: { action: 'read', subject: 'report' },
      query: ActivityQuerySchema,
      responses: { 200: readingSchema(ActivitySchema) },
      csv: true,
      problems: ['not_found', ...projection_problems],
      handler: (input) =>
        replyProjection(database, input, {
          projection: 'reports',
          list: 'daily_activity',
          key: ActivityKeySchema,
          item: ActivitySchema,
          read: (tx, version, page) => listActivity(tx, version, input.query, page),
          keyOf: (row) => [row.effective_on, row.value, row.account_type, row.currency],
          render: renderActivity,
        }),
    }),
    callRoute({
      method: 'get',
      path: '/v1/balances/daily',
      operation_id: 'listDailyBalances',
      summary: 'Read balances at the end of a day',
      description:
        'Of all accounts, at the end of a business day, as known at the end of another: what was believed then about then. Days are those of ' +
        'UTC. As far as the projection has come; `GET /v1/accounts/{account}/balance` is current, and exact to the microsecond.',
      tag: 'Balances',
      permission: { action: 'read', subject: 'report' },
      query: DailyQuerySchema,
      responses: { 200: readingSchema(DailyBalanceSchema) },
      csv: true,
      problems: ['not_found', ...projection_problems],
      handler: (input) =>
        replyProjection(database, input, {
          projection: 'balances_daily',
          list: 'daily_balances',
          key: z.string(),
          item: DailyBalanceSchema,
          read: (tx, version, page) => listDailyBalances(tx, version, input.query, page),
          keyOf: ({ code }) => code,
          render: renderDailyBalance,
        }),
    }),
  ];
}
